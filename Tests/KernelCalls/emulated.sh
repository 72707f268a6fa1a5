#!/usr/bin/env bash
# Checks that every kernel gives the same bits on ARM's NEON as on x86, without an ARM machine: builds check.c for both,
# runs the one under QEMU and compares their hashes. Also runs the x86 one as processors without AVX-512 and
# without AVX2, which ends at once if anything uses what they lack.
#
# Needs clang, qemu-user and a cross compiler's headers and libraries; on Debian:
#   apt-get install qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross
# Takes a few minutes per emulated processor.
# usage: Tests/KernelCalls/emulated.sh [options of check.c]
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
for other in Nehalem Haswell arm; do
  diff "$build/x86.txt" "$build/$other.txt" > "$build/difference" ||
    { echo "x86 and $other differ:"; cat "$build/difference"; exit 1; }
done
echo "equal bits: $(wc -l < "$build/x86.txt") hashes on x86 and on ARM"
