#!/usr/bin/env bash
# Checks that every kernel gives the same bits on ARM's NEON as on x86, without an ARM machine: builds check.c for both,
# runs the one under QEMU and compares their hashes. Also runs the x86 one as processors without AVX-512 and
# without AVX2, which ends at once if anything uses what they lack.
#
# Needs clang, qemu-user and a cross compiler's headers and libraries; on Debian:
#   apt-get install qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross
# Takes a few minutes per emulated processor.
#
# With BOCHS and KERNEL in the environment it runs the x86 one as a processor with AVX-512, too, which QEMU cannot be,
# inside a whole emulated machine: about forty times slower. BOCHS is the emulator of that name, built from its source
# with `./configure --enable-x86-64 --enable-avx --enable-evex --enable-handlers-chaining --with-nogui` (Debian's has no
# AVX), and KERNEL a Linux kernel for such machines (the `vmlinuz` in Debian's linux-image-*-cloud-amd64). On Debian:
#   apt-get install bochsbios vgabios isolinux syslinux-common xorriso cpio busybox-static
#
# usage: [BOCHS=PROGRAM KERNEL=FILE] Tests/KernelCalls/emulated.sh [options of check.c]
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$(mktemp -d)
trap 'rm -r "$build"' EXIT

compile() { # NAME, then flags
  local name=$1; shift
  mkdir "$build/$name.o"
  { find Sources/Kernels -name '*.c'; ls Tests/KernelCalls/*.c; } |
    xargs -P "$(nproc)" -I{} bash -c 'clang "${@:3}" -c -o "$1/$(tr / _ <<< "$2").o" "$2"' _ \
      "$build/$name.o" {} "$@" -O2 -fPIC -I Sources/Kernels/include -I Tests/KernelCalls/include
  clang "$@" -fuse-ld=lld "$build/$name.o"/*.o -static -pthread -lm -o "$build/$name"
}
# A disk that boots the kernel with nothing but the x86 program and a shell, and what the machine with it says.
with_avx512() {
  mkdir -p "$build/root/bin" "$build/root/proc" "$build/disk/isolinux"
  cp "$(command -v busybox)" "$build/x86" "$build/root/bin"
  printf '%s\n' '#!/bin/busybox sh' "/bin/x86 --isa avx512 --threads 1,3 $*" \
    '/bin/busybox sleep 1' '/bin/busybox poweroff -f' > "$build/root/init"
  chmod +x "$build/root/init"
  (cd "$build/root" && find . | cpio --quiet -o -H newc) > "$build/disk/initrd"
  cp "$KERNEL" "$build/disk/kernel"
  cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$build/disk/isolinux"
  printf '%s\n' 'DEFAULT run' 'LABEL run' 'KERNEL /kernel' 'INITRD /initrd' \
    'APPEND console=ttyS0 quiet loglevel=0 mitigations=off nokaslr lpj=1000000 tsc=reliable nosmp' \
    > "$build/disk/isolinux/isolinux.cfg"
  xorriso -as mkisofs -quiet -o "$build/disk.iso" -b isolinux/isolinux.bin -c isolinux/boot.cat -no-emul-boot \
    -boot-load-size 4 -boot-info-table "$build/disk" 2> "$build/disk.txt"
  printf '%s\n' 'display_library: nogui' 'megs: 1024' 'boot: cdrom' 'clock: sync=none' \
    'cpu: model=corei7_skylake_x, count=1, ips=100000000' \
    'romimage: file=/usr/share/bochs/BIOS-bochs-latest' \
    'vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest' \
    'ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14' \
    "ata0-master: type=cdrom, path=$build/disk.iso, status=inserted" \
    "com1: enabled=1, mode=file, dev=$build/serial.txt" "log: $build/bochs.txt" \
    'panic: action=fatal' 'error: action=ignore' > "$build/bochsrc"
  "$BOCHS" -q -f "$build/bochsrc" > "$build/bochs.out" 2>&1 < /dev/null || true # ends by the machine's end
  tr -d '\r' < "$build/serial.txt" | tee >(grep -v ' [0-9a-f]\{16\}$' >&2) | grep ' [0-9a-f]\{16\}$'
}

compile x86 --target=x86_64-linux-gnu
compile arm --target=aarch64-linux-gnu

"$build/x86" "$@" > "$build/x86.txt"
for cpu in Nehalem Haswell; do
  echo "as a $cpu:"
  qemu-x86_64 -cpu "$cpu" "$build/x86" --threads 1,3 "$@" > "$build/$cpu.txt" \
    2> >(grep -v 'TCG doesn.t support' >&2)
done
echo "as an ARM processor:"
qemu-aarch64 "$build/arm" --threads 1,3 "$@" > "$build/arm.txt"
others=(Nehalem Haswell arm)
if [ -n "${BOCHS:-}" ]; then
  echo "as a processor with AVX-512:"
  with_avx512 "$@" > "$build/avx512.txt"
  others+=(avx512)
fi
for other in "${others[@]}"; do
  diff "$build/x86.txt" "$build/$other.txt" > "$build/difference" ||
    { echo "x86 and $other differ:"; cat "$build/difference"; exit 1; }
done
echo "equal bits: $(wc -l < "$build/x86.txt") hashes on x86 and as ${others[*]}"
