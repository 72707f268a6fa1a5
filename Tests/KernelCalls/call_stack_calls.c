#include "duet_kernel_calls.h"

#if defined(__x86_64__) && defined(__linux__)
// A frame as compilers make them without frame pointers: the register holds a number that happens to look like an
// address far above the stack.
__asm__(
    ".text\n"
    ".globl duet_call_without_frame_pointer\n"
    ".type duet_call_without_frame_pointer, @function\n"
    "duet_call_without_frame_pointer:\n"
    ".cfi_startproc\n"
    "  pushq %rbp\n"
    ".cfi_adjust_cfa_offset 8\n"
    ".cfi_rel_offset %rbp, 0\n"
    "  movabsq $0xe100000000000000, %rbp\n"
    "  movq %rdi, %rax\n"
    "  movq %rsi, %rdi\n"
    "  callq *%rax\n"
    "  popq %rbp\n"
    ".cfi_adjust_cfa_offset -8\n"
    ".cfi_restore %rbp\n"
    "  retq\n"
    ".cfi_endproc\n"
    ".size duet_call_without_frame_pointer, .-duet_call_without_frame_pointer\n");
#else
void duet_call_without_frame_pointer(void (*body)(void *context), void *context) { body(context); }
#endif
