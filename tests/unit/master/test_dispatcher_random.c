/* Random histories of a dispatcher: after each step the books must be right, and once all workers
 * are well again every client must have been served once, whatever had happened before. */
#include "unit/master/dispatcher_rig.h"

#include "base/prng.h"

#define RUNS  170 /* for each of the six policies */
#define STEPS 150
#define SLOTS 5

static struct rig rig;
static struct prng prng;

/* A random worker that is not gone, or NULL. */
static struct rig_worker *any_worker(void) {
    struct rig_worker *worker;

    if (rig.worker_count == 0)
        return NULL;
    worker = &rig.workers[prng_below(&prng, rig.worker_count)];
    return worker->gone ? NULL : worker;
}

static void join_somebody(void) {
    static const struct delivery *const deliveries[] = {&rig_inline, &rig_accept};
    struct rig_worker *worker = rig_worker_create(
        &rig, deliveries[prng_below(&prng, 2)], prng_below(&prng, SLOTS), 1 + prng_below(&prng, 6));

    if (prng_below(&prng, 4) == 0)
        worker->capacity = prng_below(&prng, 4);
    rig_join(&rig, worker);
}

static void let_work(struct rig_worker *worker) {
    if (worker->member.delivery->settle) {
        if (worker->queued > 0)
            rig_receive(&rig, worker);
    } else if (worker->member.unacknowledged > 0) {
        rig_acknowledge(&rig, worker, prng_below(&prng, worker->member.unacknowledged));
    }
}

static void let_refuse(struct rig_worker *worker) {
    if (!worker->member.delivery->settle && worker->member.unacknowledged > 0)
        rig_refuse(&rig, worker, prng_below(&prng, worker->member.unacknowledged));
}

static void change_report(struct rig_worker *worker) {
    worker->member.open = (int64_t)prng_below(&prng, 5) - 1;
    worker->member.load = prng_below(&prng, 100);
    dispatcher_refresh(&worker->member);
    rig_check(&rig);
}

static void leave_alive(struct rig_worker *worker) {
    rig_leave(&rig, worker, false);
    if (worker->member.unacknowledged == 0)
        rig_forget(&rig, worker);
}

static void add_some(void) {
    unsigned count = 1 + prng_below(&prng, 8);

    while (count-- > 0)
        rig_add_keyed(&rig, prng_next(&prng));
    dispatcher_run(&rig.dispatcher, rig.now_ms);
    rig_check(&rig);
    rig.dispatcher.thirsty = dispatcher_credit(&rig.dispatcher) == 0;
}

static void step_worker(struct rig_worker *worker, uint32_t kind) {
    if (kind < 5)
        let_work(worker);
    else if (kind < 7)
        let_refuse(worker);
    else if (kind == 7)
        change_report(worker);
    else if (kind == 8)
        rig_give_room(&rig, worker, prng_below(&prng, 5));
    else if (kind == 9)
        leave_alive(worker);
    else
        rig_kill(&rig, worker);
}

/* Descriptors or memory get short, or are there again: both may stay short to the end. */
static void change_resources(void) {
    rig.recallable = prng_below(&prng, 3) == 0 ? RIG_UNLIMITED : prng_below(&prng, 8);
    rig.mute = prng_below(&prng, 4) == 0;
}

static void step(void) {
    uint32_t kind = prng_below(&prng, 20);
    struct rig_worker *worker = any_worker();

    if (kind < 4)
        add_some();
    else if (kind == 4)
        join_somebody();
    else if (kind == 5)
        change_resources();
    else if (kind < 8)
        rig_wait(&rig, prng_below(&prng, 4) == 0 ? 300 : DISPATCHER_TICK);
    else if (worker)
        step_worker(worker, kind - 8);
}

/* Everybody is well again and works until nothing is left to do. */
static void recover(void) {
    join_somebody();
    for (int round = 0; rig.served_count < rig.clients; round++) {
        assert_true(round < 4000);
        for (uint32_t i = 0; i < rig.worker_count; i++) {
            if (rig.workers[i].gone)
                continue;
            rig.workers[i].capacity = RIG_UNLIMITED;
            let_work(&rig.workers[i]);
        }
        rig_wait(&rig, DISPATCHER_TICK);
    }
    for (uint32_t i = 1; i <= rig.clients; i++)
        assert_int_equal(rig.served[i], 1);
}

static void check_policy(const char *policy) {
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        prng.state = seed;
        rig_init(&rig, policy);
        for (int i = 0; i < STEPS; i++)
            step();
        recover();
        rig_clear(&rig);
    }
}

static void test_node(void **state) {
    (void)state;
    check_policy("node");
}

static void test_rr(void **state) {
    (void)state;
    check_policy("rr");
}

static void test_random(void **state) {
    (void)state;
    check_policy("random");
}

static void test_least(void **state) {
    (void)state;
    check_policy("least");
}

static void test_p2c(void **state) {
    (void)state;
    check_policy("p2c");
}

static void test_hash(void **state) {
    (void)state;
    check_policy("hash");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_node),  cmocka_unit_test(test_rr),  cmocka_unit_test(test_random),
        cmocka_unit_test(test_least), cmocka_unit_test(test_p2c), cmocka_unit_test(test_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
