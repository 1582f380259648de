/*
 * fake_cuda.h - what the fake driver lends to the fakes of the libraries that
 * stand on it: its lock, its count of calls and injected failures, its streams,
 * and its knowledge of device memory.
 */
#ifndef BS_TESTS_FAKE_CUDA_H
#define BS_TESTS_FAKE_CUDA_H

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <mutex>
#include <set>
#include <string>

std::recursive_mutex &fake_lock();
[[noreturn]] void fake_die(const std::string &what);

/* Count a call; the error to inject, `otherwise` if none is named, or 0. */
int fake_enter(const char *name, int otherwise);
/* The calling thread has the context, or the program ends. */
void fake_need_context(const char *name);

/* Queue work; it may touch device memory. */
void fake_push(void *stream, std::function<void()> work);
bool fake_on_device(const void *p, size_t bytes);

/* Asked when the context is released: what is left behind, or "". */
void fake_at_release(std::string (*left)());

/* Opens an entry point: nobody else is in one; `injected` is what to return. */
#define FAKE_ENTER(otherwise)                                 \
    std::lock_guard<std::recursive_mutex> guard(fake_lock()); \
    int injected = fake_enter(__func__, otherwise)

size_t fake_number(const char *variable, size_t otherwise);

inline float
fake_wide(uint16_t bf16)
{
    uint32_t u = (uint32_t)bf16 << 16;
    float f;

    memcpy(&f, &u, sizeof f);
    return f;
}

/* Handles and descriptors that are alive. */
template <class T> struct fake_set {
    const char *name;
    std::set<const void *> alive;

    T *
    add(T *t)
    {
        alive.insert(t);
        return t;
    }

    T *
    at(const void *p)
    {
        if (alive.count(p) == 0)
            fake_die(std::string(name) + " is used that is none");
        return (T *)(uintptr_t)p;
    }

    void
    end(const void *p)
    {
        T *t = at(p);

        alive.erase(p);
        delete t;
    }

    std::string
    left() const
    {
        return alive.empty() ? ""
                             : ", " + std::to_string(alive.size()) + " " + name;
    }
};

#endif
