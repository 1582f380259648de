/*
 * emu.cpp - blocks of lanes: see emu.h.
 *
 * A launch spreads its blocks over some threads of the system.  A lane runs
 * until it waits at a barrier or for its warp; then the next lane of the warp,
 * then the next warp.  So a missing barrier gives the same wrong result in
 * every run; under the thread sanitizer, which is told of lanes and of what
 * orders them, it is a race, with both lines.  EMU_ORDER=reverse runs lanes and
 * warps from the last to the first: what depends on the order shows.
 *
 * This file is not instrumented by the thread sanitizer: its own memory is of
 * one thread of the system, whichever lane runs.
 */
#include "tests/cuda/emu.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <sys/mman.h>
#include <thread>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, bytes) ((void)0)
#define ASAN_UNPOISON_MEMORY_REGION(p, bytes) ((void)0)
#endif
#ifdef EMU_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#define WARP 32u
#define STACK ((size_t)128 << 10)
#define PAGE ((size_t)4096)
#define SHARED ((size_t)48 << 10) /* of a block, what the launch sizes apart \
                                   */
#define RED_ZONE ((size_t)64)

/* ---- switching of stacks ---------------------------------------------------
 */

#if defined(__x86_64__) && !defined(EMU_UCONTEXT)

/* Keep what a call must keep, change stacks, take up what is kept there. */
struct context {
    void *sp;
};
extern "C" void emu_switch(void **save, void *to);
__asm__(".text\n"
        ".type emu_switch, @function\n"
        "emu_switch:\n"
        "push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n"
        "mov %rsp, (%rdi)\n"
        "mov %rsi, %rsp\n"
        "pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp\n"
        "ret\n");

static void
change(context *from, context *to)
{
    emu_switch(&from->sp, to->sp);
}

/* Have `entry` begin on a stack when it is changed to first. */
static void
prepare(context *c, char *stack, size_t bytes, void (*entry)())
{
    void **top = (void **)(stack + bytes);

    *--top = nullptr; /* entry never returns; keeps the stack aligned */
    *--top = (void *)entry;
    for (int i = 0; i < 6; i++)
        *--top = nullptr;
    c->sp = top;
}

#else

#include <ucontext.h>

struct context {
    ucontext_t u;
};

static void
change(context *from, context *to)
{
    swapcontext(&from->u, &to->u);
}

static void
prepare(context *c, char *stack, size_t bytes, void (*entry)())
{
    getcontext(&c->u);
    c->u.uc_stack.ss_sp = stack;
    c->u.uc_stack.ss_size = bytes;
    makecontext(&c->u, entry, 0);
}

#endif

/* ---- what the sanitizers are told ------------------------------------------
 */

/* An address that stands for an order: what was released happened before what
 * acquires.  The thread sanitizer looks at eight bytes at a time. */
struct alignas(8) point {
    uint64_t unused;

    void
    release()
    {
#ifdef EMU_TSAN
        __tsan_release(this);
#endif
    }
    void
    acquire()
    {
#ifdef EMU_TSAN
        __tsan_acquire(this);
#endif
    }
};

/* Meetings take two points in turn: who leaves one late must not see what
 * others do before the next. */
struct meeting {
    unsigned mask = 0;
    unsigned count = 0;   /* meetings so far */
    unsigned arrived = 0; /* lanes that wait for the next */
    emu_op op = EMU_SYNC;
    point points[2];
};

struct warp {
    unsigned alive = 0; /* a bit for each lane */
    std::vector<meeting> meetings;
};

struct strand {
    context c;
    char *stack = nullptr;
    size_t bytes = 0;
#ifdef __SANITIZE_ADDRESS__
    void *fake = nullptr;
#endif
#ifdef EMU_TSAN
    void *fiber = nullptr;
#endif
};

static void
go(strand *from, strand *to, bool last = false)
{
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(last ? nullptr : &from->fake, to->stack,
                                   to->bytes);
#endif
#ifdef EMU_TSAN
    __tsan_switch_to_fiber(to->fiber, 1); /* which orders nothing */
#endif
    (void)last;
    change(&from->c, &to->c);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(from->fake, nullptr, nullptr);
#endif
}

/* ---- lanes and blocks ------------------------------------------------------
 */

enum state { RUN, IN_WARP, AT_BARRIER, DONE };

struct block;

struct lane : emu_lane {
    strand s;
    block *b;
    unsigned index;
    enum state state;
    /* Where it waits in its warp, and what it brings. */
    unsigned mask;
    emu_op op;
    uint64_t value;
    const uint32_t *fragment[2];
};

struct shared {
    const void *key;
    char *at;
};

struct block {
    emu_grid grid;
    const emu_kernel *kernel;
    const void *args;
    strand scheduler;
    lane *lanes;
    unsigned n, alive, waiting;
    meeting barrier;
    std::vector<warp> warps;
    std::vector<shared> shared_names;
    std::unique_ptr<char[]> shared_room, dynamic;
    size_t shared_used, shared_bytes; /* with and without red zones */
    point start, end;
};

__thread emu_lane *emu_self;

static lane *
self()
{
    return static_cast<lane *>(emu_self);
}

static const char *const op_names[] = {"__syncwarp",
                                       "__shfl_sync",
                                       "__shfl_xor_sync",
                                       "__shfl_up_sync",
                                       "__shfl_down_sync",
                                       "a vote",
                                       "mma"};

[[noreturn]] static void
give_up(const block *b, const char *what)
{
    fprintf(stderr,
            "emulation: %s in block (%u,%u) of %s: %u of %u lanes "
            "alive, %u at __syncthreads\n",
            what, b->grid.block.x, b->grid.block.y, b->kernel->name, b->alive,
            b->n, b->waiting);
    for (unsigned i = 0; i < b->n; i++)
        if (b->lanes[i].state == IN_WARP)
            fprintf(stderr, "  lane %u waits in %s of mask %08x\n", i,
                    op_names[b->lanes[i].op], b->lanes[i].mask);
    abort();
}

static void
wait_here(lane *l)
{
    go(&l->s, &l->b->scheduler);
}

/* ---- barriers --------------------------------------------------------------
 */

static void
pass_barrier(block *b)
{
    b->waiting = 0;
    b->barrier.count++;
    for (unsigned i = 0; i < b->n; i++)
        if (b->lanes[i].state == AT_BARRIER)
            b->lanes[i].state = RUN;
}

void
__syncthreads()
{
    lane *l = self();
    block *b = l->b;
    point *p = &b->barrier.points[b->barrier.count % 2];

    p->release();
    l->state = AT_BARRIER;
    if (++b->waiting == b->alive)
        pass_barrier(b);
    else
        wait_here(l);
    p->acquire();
}

static meeting *
meeting_of(block *b, warp *w, unsigned mask)
{
    for (meeting &m : w->meetings)
        if (m.mask == mask)
            return &m;
    w->meetings.reserve(2 * WARP); /* none moves */
    if (w->meetings.size() == w->meetings.capacity())
        give_up(b, "too many masks");
    w->meetings.emplace_back();
    w->meetings.back().mask = mask;
    return &w->meetings.back();
}

/* Let the lanes go that wait for a meeting, once all are there that live. */
static bool
pass_meeting(block *b, warp *w, meeting *m)
{
    lane *first = b->lanes + (w - b->warps.data()) * WARP;

    if (m->arrived != (m->mask & w->alive))
        return false;
    for (unsigned left = m->arrived; left != 0; left &= left - 1)
        first[__builtin_ctz(left)].state = RUN;
    m->arrived = 0;
    m->count++;
    return true;
}

/* Wait for the lanes of `mask`; those that have ended do not count. */
static void
meet(lane *l, unsigned mask, emu_op op)
{
    block *b = l->b;
    warp *w = &b->warps[l->index / WARP];
    meeting *m = meeting_of(b, w, mask);
    point *p = &m->points[m->count % 2];
    unsigned bit = 1u << l->index % WARP;

    if ((mask & bit) == 0)
        give_up(b, "a lane that is not in its own mask");
    if (m->arrived != 0 && m->op != op)
        give_up(b, "lanes of a warp that meet in different operations");
    p->release();
    l->state = IN_WARP;
    l->mask = mask;
    l->op = m->op = op;
    m->arrived |= bit;
    if (!pass_meeting(b, w, m))
        wait_here(l);
    p->acquire();
}

void
__syncwarp(unsigned mask)
{
    meet(self(), mask, EMU_SYNC);
}

/* Each brings its value, all meet, each looks; and all meet again before one
 * may bring the next. */
uint64_t
emu_shuffle(emu_op op, unsigned mask, uint64_t value, int at, int width)
{
    lane *l = self();
    int me = (int)(l->index % WARP), base = me & -width, from = at;

    l->value = value;
    meet(l, mask, op);
    if (op == EMU_SHUFFLE)
        from = base + (at & (width - 1));
    if (op == EMU_SHUFFLE_XOR)
        from = (me ^ at) < base + width ? me ^ at : me;
    if (op == EMU_SHUFFLE_UP)
        from = me - at >= base ? me - at : me;
    if (op == EMU_SHUFFLE_DOWN)
        from = me + at < base + width ? me + at : me;
    if ((mask >> from & 1) != 0 &&
        l->index - (unsigned)me + (unsigned)from < l->b->n)
        value = (l - me + from)->value;
    else
        value = 0x7fc000007fc00000; /* not defined */
    meet(l, mask, op);
    return value;
}

unsigned
emu_ballot(unsigned mask, bool vote)
{
    lane *l = self();
    unsigned me = l->index % WARP, votes = 0;

    l->value = vote;
    meet(l, mask, EMU_BALLOT);
    for (unsigned i = 0; i < WARP && l->index - me + i < l->b->n; i++)
        if ((mask >> i & 1) != 0 && (l - me + i)->state != DONE)
            votes |= (unsigned)(l - me + i)->value << i;
    meet(l, mask, EMU_BALLOT);
    return votes;
}

/* ---- mma.sync m16n8k16: PTX, "Matrix Fragments for mma.m16n8k16" -----------
 */

static float
half_of(uint32_t pair, int half)
{
    return __uint_as_float(half != 0 ? pair & 0xffff0000 : pair << 16);
}

/* Lane g * 4 + t holds, of a, the pairs of columns 2t and 2t + 8 in rows g and
 * g + 8; of b, those pairs of rows in column g; of d, rows g and g + 8 of
 * columns 2t and 2t + 1. */
void
bs_mma(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    lane *l = self(), *lane0 = l - l->index % WARP;
    unsigned g = l->index % WARP / 4, t = l->index % 4;

    l->fragment[0] = a;
    l->fragment[1] = b;
    meet(l, 0xffffffff, EMU_MMA);
    for (unsigned k = 0; k < 16; k++) {
        unsigned from = k % 8 / 2, half = k % 2, upper = k / 8;
        const uint32_t *p = lane0[g * 4 + from].fragment[0] + 2 * upper;

        for (unsigned j = 0; j < 2; j++) {
            float q = half_of(lane0[(2 * t + j) * 4 + from].fragment[1][upper],
                              (int)half);

            d[j] += half_of(p[0], (int)half) * q;
            d[2 + j] += half_of(p[1], (int)half) * q;
        }
    }
    meet(l, 0xffffffff, EMU_MMA);
}

/* ---- shared memory ---------------------------------------------------------
 */

/* Made before the lanes start: it is nobody's write. */
static std::unique_ptr<char[]>
poisoned(size_t bytes)
{
    std::unique_ptr<char[]> p(new char[bytes]); /* 16-aligned, as CUDA's */

    memset(p.get(), 0xff, bytes); /* NaN, and no index */
    return p;
}

void *
emu_shared(const void *key, size_t bytes)
{
    block *b = self()->b;
    size_t room = (bytes + 15) / 16 * 16;
    char *at;

    for (const shared &s : b->shared_names)
        if (s.key == key)
            return s.at;
    b->shared_bytes += room;
    if (b->shared_bytes > SHARED)
        give_up(b, "more than 48 KiB of shared memory");
    at = b->shared_room.get() + b->shared_used;
    b->shared_used += room + RED_ZONE;
    ASAN_UNPOISON_MEMORY_REGION(at, bytes);
    b->shared_names.push_back({key, at});
    return at;
}

void *
emu_shared_dynamic()
{
    return self()->b->dynamic.get();
}

/* ---- running ---------------------------------------------------------------
 */

static void
end_lane(lane *l)
{
    block *b = l->b;

    b->end.release();
    l->state = DONE;
    b->alive--;
    warp *w = &b->warps[l->index / WARP];

    w->alive &= ~(1u << l->index % WARP);
    for (meeting &m : w->meetings)
        if (m.arrived != 0)
            pass_meeting(b, w, &m);
    if (b->alive > 0 && b->waiting == b->alive)
        pass_barrier(b); /* who has ended counts as arrived */
    go(&l->s, &b->scheduler, true);
}

static void
lane_main()
{
    lane *l = self();

#ifdef __SANITIZE_ADDRESS__
    strand *s = &l->b->scheduler;
    const void *stack;

    __sanitizer_finish_switch_fiber(nullptr, &stack, &s->bytes);
    s->stack = (char *)stack;
#endif
    l->b->start.acquire();
    l->b->kernel->run(l->b->args);
    end_lane(l);
}

/* Lanes with their stacks, for one block after another. */
struct pool {
    std::unique_ptr<lane[]> lanes;
    unsigned n;
    char *stacks;

    /* A page that must not be touched below each stack; tops are shifted, so
     * that not all lie in the same lines of the cache. */
    explicit pool(unsigned n) : lanes(new lane[n]), n(n)
    {
        stacks =
            (char *)mmap(nullptr, n * STACK, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (stacks == MAP_FAILED)
            abort();
        for (unsigned i = 0; i < n; i++) {
            strand *s = &lanes[i].s;

            mprotect(stacks + i * STACK, PAGE, PROT_NONE);
            s->stack = stacks + i * STACK + PAGE;
            s->bytes = STACK - PAGE - i % 16 * 64;
#ifdef EMU_TSAN
            s->fiber = __tsan_create_fiber(0);
#endif
        }
    }
    ~pool()
    {
#ifdef EMU_TSAN
        for (unsigned i = 0; i < n; i++)
            __tsan_destroy_fiber(lanes[i].s.fiber);
#endif
        munmap(stacks, n * STACK);
    }
};

/* Pools for the next launch. */
static std::vector<std::unique_ptr<pool>> idle;
static std::mutex idle_lock;

static std::unique_ptr<pool>
take_pool(unsigned n)
{
    std::lock_guard<std::mutex> guard(idle_lock);

    for (std::unique_ptr<pool> &p : idle)
        if (p->n == n) {
            std::unique_ptr<pool> found = std::move(p);

            p = std::move(idle.back());
            idle.pop_back();
            return found;
        }
    return std::make_unique<pool>(n);
}

static void
keep_pool(std::unique_ptr<pool> p)
{
    std::lock_guard<std::mutex> guard(idle_lock);

    idle.push_back(std::move(p));
}

static void
step(block *b, lane *l)
{
    emu_self = l;
    go(&b->scheduler, &l->s);
    emu_self = nullptr;
}

/* Run the lanes of a warp until all of them wait; whether one ran. */
static bool
run_warp(block *b, unsigned first, bool reverse)
{
    unsigned n = b->n - first < WARP ? b->n - first : WARP;
    bool ran = false, again;

    do {
        again = false;
        for (unsigned i = 0; i < n; i++) {
            lane *l = &b->lanes[first + (reverse ? n - 1 - i : i)];

            if (l->state == RUN) {
                step(b, l);
                again = ran = true;
            }
        }
    } while (again);
    return ran;
}

static void
run_block(pool *pool, const emu_kernel *kernel, const emu_grid &grid,
          size_t dynamic, const void *args, bool reverse)
{
    static const char *const deadlock = "lanes that wait for one another";
    block b;

    b.grid = grid;
    b.kernel = kernel;
    b.args = args;
    b.lanes = pool->lanes.get();
    b.n = b.alive = pool->n;
    b.waiting = 0;
    b.warps.resize((b.n + WARP - 1) / WARP);
    b.dynamic = poisoned(dynamic);
    b.shared_room = poisoned(2 * SHARED);
    b.shared_used = RED_ZONE;
    b.shared_bytes = 0;
    ASAN_POISON_MEMORY_REGION(b.shared_room.get(), 2 * SHARED);
#ifdef EMU_TSAN
    b.scheduler.fiber = __tsan_get_current_fiber();
#endif
    for (unsigned i = 0; i < b.n; i++) {
        lane *l = &b.lanes[i];

        l->b = &b;
        l->grid = &b.grid;
        l->index = i;
        l->state = RUN;
        b.warps[i / WARP].alive |= 1u << i % WARP;
        l->thread = {i % grid.threads.x, i / grid.threads.x % grid.threads.y,
                     i / grid.threads.x / grid.threads.y};
        ASAN_UNPOISON_MEMORY_REGION(l->s.stack, l->s.bytes);
        prepare(&l->s.c, l->s.stack, l->s.bytes, lane_main);
    }
    b.start.release();
    while (b.alive > 0) {
        bool ran = false;

        for (unsigned w = 0; w < b.warps.size(); w++)
            ran |= run_warp(
                &b, WARP * (reverse ? (unsigned)b.warps.size() - 1 - w : w),
                reverse);
        if (!ran)
            give_up(&b, deadlock);
    }
    b.end.acquire();
    ASAN_UNPOISON_MEMORY_REGION(b.shared_room.get(), 2 * SHARED);
}

void
emu_run(const emu_kernel *kernel, uint3 blocks, uint3 threads, size_t dynamic,
        const void *args)
{
    const char *order = getenv("EMU_ORDER");
    bool reverse = order != nullptr && strcmp(order, "reverse") == 0;
    size_t n = (size_t)blocks.x * blocks.y * blocks.z;
    std::atomic<size_t> next(0);
    auto work = [&] {
        std::unique_ptr<pool> pool =
            take_pool(threads.x * threads.y * threads.z);

        for (size_t i; (i = next.fetch_add(1)) < n;) {
            size_t at = reverse ? n - 1 - i : i;
            emu_grid grid = {{(unsigned)(at % blocks.x),
                              (unsigned)(at / blocks.x % blocks.y),
                              (unsigned)(at / blocks.x / blocks.y)},
                             blocks,
                             threads};

            run_block(pool.get(), kernel, grid, dynamic, args, reverse);
        }
        keep_pool(std::move(pool));
    };
    std::vector<std::thread> others;

    if (n >= 4)
        others.emplace_back(work);
    work();
    for (std::thread &t : others)
        t.join();
}

/* ---- kernels ---------------------------------------------------------------
 */

static emu_kernel *kernels;

emu_kernel::emu_kernel(const char *name, void (*run)(const void *),
                       size_t args_bytes, unsigned most_threads)
    : name(name), run(run), args_bytes(args_bytes), most_threads(most_threads),
      next(kernels)
{
    kernels = this;
}

emu_kernel *
emu_find(const char *name)
{
    for (emu_kernel *k = kernels; k != nullptr; k = k->next)
        if (strcmp(k->name, name) == 0)
            return k;
    return nullptr;
}
