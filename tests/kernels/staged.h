/*
 * staged.h - the CUDA device for tests that hold their operands in host memory.
 *
 * Each operation's arrays are copied to the device, to blocks of exactly their
 * size, and what it may have written is copied back.  The device is the
 * emulation where the library `$BS_FAKE` names is there (make check), else the
 * real one (make check-gpu).
 */
#ifndef BS_TESTS_STAGED_H
#define BS_TESTS_STAGED_H

#include "kernels/isa.h"

struct bs_dev;
struct bs_err;

/* In a list of instruction sets: no more than a name. */
extern const struct bs_isa bs_isa_cuda, bs_isa_libraries;
bool staged_is_cuda(const struct bs_isa *isa);

/* Whether a CUDA device can be opened; `why` if not. */
bool staged_there(char *why, size_t room);
/* Whether libraries of CUDA's can be used there; `why` if not. */
bool staged_libraries(char *why, size_t room);
/* As bs_dev_open.  By our own kernels only, or by libraries where there are
 * any. */
int staged_open(struct bs_dev **out, struct bs_err *e);
int staged_open_libraries(struct bs_dev **out, struct bs_err *e);
/* Whether a driver that is not ours is there. */
bool staged_driver(void);
/* Load the emulation, if there is one, in the place of the driver, and of the
 * libraries. */
void staged_fake(void);
/* A device that this program runs operations on: for `make ops`, in a file
 * named like the program in the folder $BS_OPS_LOG, if that is set. */
void staged_note(const char *name);
/* Whether it is the emulation: then large sizes take their time. */
bool staged_slow(const struct bs_isa *isa);

#endif
