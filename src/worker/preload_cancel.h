/* Keeps calls that block cancellation points, as they are in libc (pthreads(7)). Between
 * preload_allow_cancel() and preload_restore_cancel() the thread may be cancelled at any
 * instruction, so nothing but the raw call belongs there. Where there is no libpthread, nothing
 * happens. */
#ifndef BATON_WORKER_PRELOAD_CANCEL_H
#define BATON_WORKER_PRELOAD_CANCEL_H

#include <pthread.h>

extern __typeof__(pthread_setcanceltype) pthread_setcanceltype __attribute__((weak));
extern __typeof__(pthread_testcancel) pthread_testcancel __attribute__((weak));

/* A cancellation that is pending already acts here, also where the call would not have to wait. */
static inline void preload_test_cancel(void) {
    if (pthread_testcancel)
        pthread_testcancel();
}

static inline int preload_allow_cancel(void) {
    int type = PTHREAD_CANCEL_DEFERRED;

    if (pthread_setcanceltype)
        pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
    return type;
}

/* `type` is what the other one answered. */
static inline void preload_restore_cancel(int type) {
    if (pthread_setcanceltype)
        pthread_setcanceltype(type, &type);
}

#endif
