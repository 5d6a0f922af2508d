/* Lets User-Mode Linux run on processors with a wide extended state (AMX: 8 KiB of tiles and more).
 *
 * UML keeps the floating-point registers of its processes in a buffer of fixed size and puts them back with
 * PTRACE_SETREGSET and NT_X86_XSTATE. The host's kernel takes nothing but an area of the full size that the
 * processor has; with less it answers EFAULT, and UML panics: "ptrace set fp regs failed, errno = 14".
 * Loaded with LD_PRELOAD before it, this completes the area: what lies behind UML's buffer is what the
 * process has now, and is marked as unused, because UML never saw it.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    LARGEST = 1 << 16,    /* bytes; today's largest area has 11 KiB */
    HEADER = 512,         /* where the bits are that say which parts are in use, behind the old FXSAVE area */
    TILES = 3 << 17,      /* of those bits: AMX's configuration and its tiles */
};

static long set_whole_state(pid_t pid, const struct iovec *part)
{
    static _Thread_local char area[LARGEST] __attribute__((aligned(64)));
    struct iovec whole = {area, sizeof area};

    if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, NT_X86_XSTATE, &whole) < 0)
        return -1;
    if (part->iov_len < whole.iov_len) {
        uint64_t used;

        memcpy(area, part->iov_base, part->iov_len);
        memcpy(&used, area + HEADER, sizeof used);
        used &= ~(uint64_t)TILES;
        memcpy(area + HEADER, &used, sizeof used);
    } else {
        memcpy(area, part->iov_base, whole.iov_len);
    }
    return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, NT_X86_XSTATE, &whole);
}

/* As the C library's, whose arguments are variable and whose peeks return what they read. */
long ptrace(enum __ptrace_request request, ...)
{
    va_list arguments;
    pid_t pid;
    void *address, *data;
    long word = 0;

    va_start(arguments, request);
    pid = va_arg(arguments, pid_t);
    address = va_arg(arguments, void *);
    data = va_arg(arguments, void *);
    va_end(arguments);

    switch (request) {
    case PTRACE_SETREGSET:
        if ((long)address == NT_X86_XSTATE)
            return set_whole_state(pid, data);
        break;
    case PTRACE_PEEKTEXT:
    case PTRACE_PEEKDATA:
    case PTRACE_PEEKUSER:
        if (syscall(SYS_ptrace, request, pid, address, &word) < 0)
            return -1;
        errno = 0;
        return word;
    default:
        break;
    }
    return syscall(SYS_ptrace, request, pid, address, data);
}
