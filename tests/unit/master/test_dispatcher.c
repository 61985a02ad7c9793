#include "unit/master/dispatcher_rig.h"

static struct rig rig; /* too large for a stack under the sanitizers */

static int set_up(void **state) {
    (void)state;
    rig_init(&rig, "node");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    rig_clear(&rig);
    return 0;
}

static void restart_with(const char *policy) {
    rig_clear(&rig);
    rig_init(&rig, policy);
}

static void test_clients_wait_while_there_is_no_worker(void **state) {
    struct rig_worker *worker;

    (void)state;
    rig_add(&rig, 3);
    assert_int_equal(rig_waiting(&rig), 3);
    assert_int_equal(rig.due_events, 1);
    worker = rig_worker_join(&rig, &rig_inline, 0, 2);
    assert_int_equal(rig_waiting(&rig), 1);
    assert_int_equal(rig_handed(worker, 0)->cookie, 1);
    assert_int_equal(rig_handed(worker, 1)->cookie, 2);
    assert_int_equal(rig_in_line(&rig, 0), 3);
}

static void test_an_acknowledgement_brings_the_next_in_line(void **state) {
    struct rig_worker *worker = rig_worker_join(&rig, &rig_inline, 0, 1);

    (void)state;
    rig_add(&rig, 5);
    for (uint32_t number = 1; number <= 5; number++) {
        assert_int_equal(rig_handed(worker, 0)->cookie, number);
        rig_acknowledge(&rig, worker, 0);
    }
    assert_int_equal(worker->member.handed_total, 5);
    assert_int_equal(worker->member.acknowledged_total, 5);
    assert_int_equal(rig.served_count, 5);
}

/* A client of our own, for one worker: past the window and the line. */
static void test_a_client_is_handed_to_the_worker_that_is_meant(void **state) {
    struct rig_worker *busy = rig_worker_join(&rig, &rig_inline, 0, 1);
    struct client *client = client_create(-1);

    (void)state;
    rig_add(&rig, 2);
    assert_non_null(client);
    client->cookie = ++rig.clients;
    assert_true(dispatcher_hand_to(&busy->member, client, rig.now_ms));
    assert_int_equal(busy->member.unacknowledged, 2);
    assert_int_equal(rig_waiting(&rig), 1);
    assert_int_equal(rig_handed(busy, 1)->cookie, 3);
    rig_acknowledge(&rig, busy, 1);
    assert_int_equal(rig_waiting(&rig), 1);
    rig_acknowledge(&rig, busy, 0);
    assert_int_equal(rig_handed(busy, 0)->cookie, 2);
}

static void test_a_client_that_is_not_taken_stays_the_callers(void **state) {
    struct rig_worker *worker = rig_worker_join(&rig, &rig_inline, 0, 4);
    struct client *client = client_create(-1);

    (void)state;
    assert_non_null(client);
    client->cookie = ++rig.clients;
    worker->capacity = 0;
    assert_false(dispatcher_hand_to(&worker->member, client, rig.now_ms));
    assert_int_equal(worker->member.handed_total, 0);
    assert_int_equal(worker->member.unacknowledged, 0);
    client_destroy(client);
    rig.clients--; /* it never was one of the rig's */
}

static void test_several_clients_of_a_worker_go_in_one_send(void **state) {
    struct rig_worker *one = rig_worker_join(&rig, &rig_inline, 0, 8);
    struct rig_worker *other = rig_worker_join(&rig, &rig_inline, 1, 8);

    (void)state;
    rig_add(&rig, 16);
    assert_int_equal(one->sends, 1);
    assert_int_equal(other->sends, 1);
    assert_int_equal(one->member.unacknowledged, 8);
    assert_int_equal(other->member.unacknowledged, 8);
}

static void test_credit_is_the_room_of_the_windows_and_a_short_line(void **state) {
    struct rig_worker *worker;

    (void)state;
    assert_int_equal(dispatcher_credit(&rig.dispatcher), DISPATCHER_LINE_MAX);
    rig_worker_join(&rig, &rig_inline, 0, 3);
    worker = rig_worker_join(&rig, &rig_inline, 1, 4);
    assert_int_equal(dispatcher_credit(&rig.dispatcher), DISPATCHER_LINE_MAX + 7);
    rig_add(&rig, 5);
    assert_int_equal(dispatcher_credit(&rig.dispatcher), DISPATCHER_LINE_MAX + 2);
    rig_add(&rig, 2 + DISPATCHER_LINE_MAX);
    assert_int_equal(dispatcher_credit(&rig.dispatcher), 0);
    rig_kill(&rig, worker); /* its four make the line longer than it may grow */
    assert_int_equal(rig_waiting(&rig), DISPATCHER_LINE_MAX + 4);
    assert_int_equal(dispatcher_credit(&rig.dispatcher), 0);
}

static void test_the_thirsty_hear_of_credit_once_half_the_line_is_free(void **state) {
    struct rig_worker *worker = rig_worker_join(&rig, &rig_inline, 0, 1);

    (void)state;
    rig_add(&rig, 1 + DISPATCHER_LINE_MAX);
    rig.dispatcher.thirsty = true;
    for (unsigned i = 0; i < DISPATCHER_LINE_MAX / 2 - 1; i++)
        rig_acknowledge(&rig, worker, 0);
    assert_int_equal(rig.credit_events, 0);
    rig_acknowledge(&rig, worker, 0);
    assert_int_equal(rig.credit_events, 1);
    assert_false(rig.dispatcher.thirsty);
    rig_acknowledge(&rig, worker, 0);
    assert_int_equal(rig.credit_events, 1);
}

static void test_the_thirsty_hear_of_credit_when_old_clients_are_let_go(void **state) {
    (void)state;
    rig.dispatcher.limits.wait_ms = 500;
    rig_add(&rig, DISPATCHER_LINE_MAX);
    rig.dispatcher.thirsty = true;
    rig_wait(&rig, 480);
    assert_int_equal(rig.dispatcher.gave_up_total, 0);
    rig_wait(&rig, 20);
    assert_int_equal(rig.dispatcher.gave_up_total, DISPATCHER_LINE_MAX);
    assert_int_equal(rig.credit_events, 1);
    assert_false(rig.dispatcher.ticking);
}

static void test_only_those_that_waited_too_long_are_let_go(void **state) {
    (void)state;
    rig.dispatcher.limits.wait_ms = 500;
    rig_add(&rig, 2);
    rig_wait(&rig, 300);
    rig_add(&rig, 3);
    rig_wait(&rig, 200);
    assert_int_equal(rig.dispatcher.gave_up_total, 2);
    assert_int_equal(rig_in_line(&rig, 0), 3);
    rig_wait(&rig, 300);
    assert_int_equal(rig.dispatcher.gave_up_total, 5);
}

/* --- refusals --- */

static void test_a_refused_client_goes_to_the_front_and_to_another_worker(void **state) {
    struct rig_worker *one = rig_worker_join(&rig, &rig_inline, 0, 1);
    struct rig_worker *other = rig_worker_join(&rig, &rig_inline, 1, 1);

    (void)state;
    rig_add(&rig, 4);
    rig_refuse(&rig, one, 0);
    assert_int_equal(rig_in_line(&rig, 0), 1);
    assert_int_equal(rig_in_line(&rig, 1), 3);
    rig_acknowledge(&rig, other, 0);
    assert_int_equal(rig_handed(other, 0)->cookie, 1);
    assert_int_equal(one->member.refused_total, 1);
    assert_int_equal(one->member.unacknowledged, 0);
}

static void test_a_worker_that_refuses_rests_longer_each_time(void **state) {
    struct rig_worker *worker = rig_worker_join(&rig, &rig_inline, 0, 1);
    uint64_t delay = DISPATCHER_REFUSAL_MIN;

    (void)state;
    rig_add(&rig, 1);
    for (int i = 0; i < 12; i++) {
        uint64_t due = rig.now_ms + delay;

        rig_refuse(&rig, worker, 0);
        assert_int_equal(worker->member.refused_until_ms, due);
        while (worker->member.unacknowledged == 0) {
            assert_true(rig.now_ms < due + DISPATCHER_TICK);
            rig_wait(&rig, DISPATCHER_TICK);
        }
        assert_true(rig.now_ms >= due);
        delay = delay * 2 < DISPATCHER_REFUSAL_MAX ? delay * 2 : DISPATCHER_REFUSAL_MAX;
    }
    rig_acknowledge(&rig, worker, 0);
    rig_add(&rig, 1);
    rig_refuse(&rig, worker, 0); /* what it accepted has made it trusted again */
    assert_int_equal(worker->member.refused_until_ms, rig.now_ms + DISPATCHER_REFUSAL_MIN);
}

/* Node's own primary sends 39,023 messages in 2 s here. */
static void test_when_all_refuse_nobody_is_asked_without_pause(void **state) {
    struct rig_worker *workers[4];
    unsigned sends = 0;

    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        workers[i] = rig_worker_join(&rig, &rig_inline, i, 1);
    rig_add(&rig, 10);
    for (int ms = 0; ms < 2000; ms += DISPATCHER_TICK) {
        for (int i = 0; i < 4; i++)
            while (workers[i]->member.unacknowledged > 0)
                rig_refuse(&rig, workers[i], 0);
        rig_wait(&rig, DISPATCHER_TICK);
    }
    for (int i = 0; i < 4; i++)
        sends += workers[i]->sends;
    assert_in_range(sends, 4 * 8, 4 * 20);
    assert_true(rig.spy->picks < 4000);
    rig_wait(&rig, DISPATCHER_REFUSAL_MAX);
    for (uint32_t served = 0; served < 10; served++)
        for (int i = 0; i < 4; i++)
            if (workers[i]->member.unacknowledged > 0)
                rig_acknowledge(&rig, workers[i], 0);
    assert_int_equal(rig.served_count, 10);
}

static void test_a_late_refusal_of_a_worker_that_left_is_dealt_again(void **state) {
    struct rig_worker *old = rig_worker_join(&rig, &rig_inline, 0, 2);
    struct rig_worker *new;

    (void)state;
    rig_add(&rig, 2);
    rig_leave(&rig, old, false);
    assert_int_equal(old->member.unacknowledged, 2);
    new = rig_worker_join(&rig, &rig_inline, 0, 2);
    rig_refuse(&rig, old, 0);
    assert_int_equal(rig_handed(new, 0)->cookie, 1);
    rig_acknowledge(&rig, old, 0);
    assert_int_equal(rig.served_order[0], 2);
    rig_forget(&rig, old);
    assert_int_equal(rig.dispatcher.joined_count, 1);
}

/* --- death --- */

static void test_what_a_dead_worker_had_not_accepted_is_dealt_again_in_order(void **state) {
    struct rig_worker *one = rig_worker_join(&rig, &rig_inline, 0, 4);
    struct rig_worker *other = rig_worker_join(&rig, &rig_inline, 1, 4);

    (void)state;
    rig_add(&rig, 12);
    rig_acknowledge(&rig, one, 0);
    rig_leave(&rig, one, true);
    assert_int_equal(one->member.returned_total, 4); /* one accepted, one more handed for it */
    for (uint32_t i = 1; i < rig_waiting(&rig); i++)
        assert_true(rig_in_line(&rig, i - 1) < rig_in_line(&rig, i));
    assert_true(rig_in_line(&rig, 0) < 8);
    while (other->member.unacknowledged > 0)
        rig_acknowledge(&rig, other, 0);
    assert_int_equal(rig.served_count, 12);
}

static void test_a_dead_accept_worker_loses_only_what_it_received(void **state) {
    struct rig_worker *one = rig_worker_join(&rig, &rig_accept, 0, 8);
    struct rig_worker *other;

    (void)state;
    rig_add(&rig, 8);
    rig_receive(&rig, one);
    rig_receive(&rig, one);
    rig_kill(&rig, one);
    assert_int_equal(rig_waiting(&rig), 6);
    assert_int_equal(one->member.acknowledged_total, 2);
    assert_int_equal(one->member.returned_total, 6);
    other = rig_worker_join(&rig, &rig_accept, 0, 8);
    for (uint32_t number = 3; number <= 8; number++) {
        assert_int_equal(other->queue[0], number);
        rig_receive(&rig, other);
    }
}

/* bud, the closest prior art, stalls everybody when the first candidate is dead. */
static void check_deaths(const struct delivery *delivery, uint32_t first, uint32_t deaths) {
    struct rig_worker *workers[4];
    uint32_t left = 4;

    restart_with("node");
    for (uint32_t i = 0; i < 4; i++)
        workers[i] = rig_worker_join(&rig, delivery, i, 2);
    rig_add(&rig, 20);
    for (uint32_t i = 0; i < deaths; i++, left--)
        rig_kill(&rig, workers[(first + i) % 4]);
    assert_int_equal(
        dispatcher_credit(&rig.dispatcher),
        rig_waiting(&rig) >= DISPATCHER_LINE_MAX ? 0 : DISPATCHER_LINE_MAX - rig_waiting(&rig));
    assert_int_equal(rig_waiting(&rig), 20 - 2 * left);
    if (left == 0)
        workers[0] = rig_worker_join(&rig, delivery, 0, 2);
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < 4; i++) {
            if (workers[i]->gone || workers[i]->member.unacknowledged == 0)
                continue;
            if (delivery == &rig_inline)
                rig_acknowledge(&rig, workers[i], 0);
            else if (workers[i]->queued > 0)
                rig_receive(&rig, workers[i]);
        }
        rig_wait(&rig, DISPATCHER_TICK);
    }
    assert_int_equal(rig.served_count, 20);
}

static void test_each_worker_dead_in_turn_all_but_one_and_all(void **state) {
    (void)state;
    for (uint32_t first = 0; first < 4; first++)
        for (uint32_t deaths = 1; deaths <= 4; deaths++) {
            check_deaths(&rig_inline, first, deaths);
            check_deaths(&rig_accept, first, deaths);
        }
}

/* --- joining and leaving --- */

static void test_a_successor_takes_the_seat_and_the_old_one_finishes(void **state) {
    struct rig_worker *old = rig_worker_join(&rig, &rig_inline, 3, 2);
    struct rig_worker *new;

    (void)state;
    rig_add(&rig, 3);
    new = rig_worker_join(&rig, &rig_inline, 3, 2);
    assert_false(old->member.joined);
    assert_int_equal(rig.dispatcher.joined_count, 1);
    assert_int_equal(rig_handed(new, 0)->cookie, 3);
    rig_acknowledge(&rig, old, 0);
    rig_acknowledge(&rig, old, 0);
    rig_add(&rig, 1);
    assert_int_equal(old->member.handed_total, 2);
    assert_int_equal(new->member.unacknowledged, 2);
    rig_leave(&rig, old, true);
    assert_int_equal(new->member.unacknowledged, 2);
}

/* One that goes by open connections finds the worker with the fewest among those that are there. */
static void test_another_policy_decides_at_once_about_who_is_there(void **state) {
    struct rig_policy *spy = rig_policy_create("least");
    struct rig_worker *busy = rig_worker_join(&rig, &rig_inline, 0, 8);
    struct rig_worker *idle = rig_worker_join(&rig, &rig_inline, 5, 8);

    (void)state;
    busy->member.open = 4;
    idle->member.open = 1;
    assert_int_equal(dispatcher_set_policy(&rig.dispatcher, &spy->policy, rig.now_ms), 0);
    rig.spy = spy;
    assert_int_equal(spy->seen[0].open, 4);
    assert_int_equal(spy->seen[5].open, 1);
    rig_add(&rig, 3);
    assert_int_equal(idle->member.handed_total, 3);
    assert_int_equal(busy->member.handed_total, 0);
}

static void test_another_policy_takes_those_that_wait(void **state) {
    struct rig_policy *spy = rig_policy_create("random");
    struct rig_worker *worker;

    (void)state;
    rig_add(&rig, 2);
    worker = rig_worker_join(&rig, &rig_inline, 0, 1);
    assert_int_equal(dispatcher_set_policy(&rig.dispatcher, &spy->policy, rig.now_ms), 0);
    rig.spy = spy;
    rig_acknowledge(&rig, worker, 0);
    assert_int_equal(rig_handed(worker, 0)->cookie, 2);
    assert_true(spy->picks > 0);
}

static void test_an_accept_worker_that_leaves_gives_back_what_it_has_not_received(void **state) {
    struct rig_worker *old = rig_worker_join(&rig, &rig_accept, 0, 4);
    struct rig_worker *new;

    (void)state;
    rig_add(&rig, 6);
    rig_receive(&rig, old);
    rig_leave(&rig, old, false);
    assert_int_equal(rig_waiting(&rig), 5);
    assert_int_equal(rig_in_line(&rig, 0), 2);
    new = rig_worker_join(&rig, &rig_accept, 0, 8);
    assert_int_equal(new->queued, 5);
    rig_forget(&rig, old);
}

static void test_to_join_or_leave_twice_is_harmless(void **state) {
    struct rig_worker *worker = rig_worker_join(&rig, &rig_inline, 0, 1);

    (void)state;
    rig_join(&rig, worker);
    assert_int_equal(rig.dispatcher.joined_count, 1);
    rig_leave(&rig, worker, false);
    rig_leave(&rig, worker, false);
    rig_leave(&rig, worker, true);
    assert_int_equal(rig.dispatcher.joined_count, 0);
    rig_join(&rig, worker);
    rig_add(&rig, 1);
    assert_int_equal(worker->member.unacknowledged, 1);
}

static void test_a_shared_member_is_never_a_candidate(void **state) {
    struct rig_worker *worker = rig_worker_create(&rig, NULL, 0, 1);

    (void)state;
    assert_int_equal(dispatcher_join(&rig.dispatcher, &worker->member, rig.now_ms), 0);
    dispatcher_leave(&rig.dispatcher, &worker->member, true, rig.now_ms);
    assert_false(worker->member.joined);
    worker->gone = true;
    rig_add(&rig, 1);
    assert_int_equal(rig_waiting(&rig), 1);
}

/* --- stuck workers --- */

static void test_a_stuck_inline_worker_gets_no_more_until_it_answers(void **state) {
    struct rig_worker *worker = rig_worker_join(&rig, &rig_inline, 0, 2);

    (void)state;
    rig_add(&rig, 1);
    rig_wait(&rig, 240);
    assert_int_equal(worker->stuck_events, 0);
    rig_wait(&rig, 40);
    assert_int_equal(worker->stuck_events, 1);
    rig_add(&rig, 2);
    rig_wait(&rig, 1000);
    assert_int_equal(worker->stuck_events, 1);
    assert_int_equal(worker->member.unacknowledged, 1); /* it cannot be recalled */
    assert_int_equal(rig_waiting(&rig), 2);
    rig_acknowledge(&rig, worker, 0);
    assert_int_equal(worker->member.unacknowledged, 2);
    assert_false(worker->member.stuck);
}

static void test_a_stuck_accept_worker_loses_its_clients_to_another(void **state) {
    struct rig_worker *stuck = rig_worker_join(&rig, &rig_accept, 0, 4);
    struct rig_worker *other = rig_worker_create(&rig, &rig_accept, 1, 16);

    (void)state;
    rig_add(&rig, 4);
    rig_join(&rig, other);
    rig_wait(&rig, 120);
    assert_int_equal(stuck->stuck_events, 1);
    assert_true(stuck->member.probed);
    assert_int_equal(stuck->queued, 1); /* the probe */
    assert_int_equal(other->queued, 4);
    assert_int_equal(other->queue[0], 1);
    while (other->queued > 0)
        rig_receive(&rig, other);
    rig_receive(&rig, stuck);
    rig_wait(&rig, DISPATCHER_TICK);
    assert_false(stuck->member.stuck);
    assert_int_equal(stuck->member.acknowledged_total, 0); /* a probe is no client */
    rig_add(&rig, 8);
    assert_true(stuck->queued > 0);
}

/* A worker without room for more: the master's own descriptors are just enough for all that it has
 * not received. It must be asked, for otherwise nothing would ever tell that it is well again. */
static void test_a_stuck_worker_is_asked_when_no_descriptor_is_left(void **state) {
    struct rig_worker *worker = rig_worker_join(&rig, &rig_accept, 0, 4);

    (void)state;
    rig_add(&rig, 4);
    rig.recallable = 4;
    rig_wait(&rig, 120);
    assert_int_equal(rig.recallable, 0);
    assert_int_equal(rig_waiting(&rig), 4);
    assert_true(worker->member.probed);
    rig_receive(&rig, worker);
    rig_wait(&rig, DISPATCHER_TICK);
    assert_int_equal(rig_waiting(&rig), 0);
    assert_int_equal(worker->queued, 4);
}

static void test_what_cannot_be_recalled_stays_and_is_a_sign_of_life(void **state) {
    struct rig_worker *worker = rig_worker_join(&rig, &rig_accept, 0, 4);

    (void)state;
    rig_add(&rig, 4);
    rig.recallable = 3;
    rig_wait(&rig, 200);
    assert_int_equal(rig_waiting(&rig), 3);
    assert_int_equal(worker->queued, 1);
    assert_false(worker->member.probed);
    rig_receive(&rig, worker);
    rig_wait(&rig, DISPATCHER_TICK);
    assert_false(worker->member.stuck);
    assert_int_equal(worker->queued, 3);
}

static void test_a_stuck_worker_that_cannot_be_asked_is_tried_with_clients(void **state) {
    struct rig_worker *worker = rig_worker_join(&rig, &rig_accept, 0, 4);

    (void)state;
    rig.mute = true;
    rig_add(&rig, 4);
    rig_wait(&rig, 1000);
    assert_true(worker->stuck_events > 1);
    while (rig.served_count < 4) {
        if (worker->queued > 0)
            rig_receive(&rig, worker);
        rig_wait(&rig, DISPATCHER_TICK);
    }
}

static void test_a_withdrawn_worker_keeps_what_it_was_sent_even_when_it_is_slow(void **state) {
    struct rig_worker *worker = rig_worker_join(&rig, &rig_accept, 0, 4);

    (void)state;
    rig_add(&rig, 3);
    dispatcher_withdraw(&rig.dispatcher, &worker->member);
    rig_wait(&rig, 1000);
    assert_int_equal(worker->queued, 3);
    assert_int_equal(worker->queue[0], 1);
    assert_int_equal(rig_waiting(&rig), 0);
}

/* Its window was full when it got stuck, and all others are busy when it comes back: then it is
 * asked what it has received before the next tick asks. */
static void test_a_stuck_worker_recovers_however_its_probe_is_noticed(void **state) {
    struct rig_worker *stuck = rig_worker_join(&rig, &rig_accept, 0, 1);
    struct rig_worker *other = rig_worker_create(&rig, &rig_accept, 1, 1);

    (void)state;
    rig_add(&rig, 1);
    rig_join(&rig, other);
    rig_wait(&rig, 100);
    assert_true(stuck->member.stuck);
    assert_int_equal(other->queued, 1);
    rig_receive(&rig, stuck); /* the probe */
    rig_add(&rig, 1);
    assert_false(stuck->member.stuck);
    assert_int_equal(stuck->member.acknowledged_total, 0);
    assert_int_equal(stuck->queued, 1);
    assert_int_equal(stuck->queue[0], 2);
}

static void test_the_hard_limit_is_announced_once(void **state) {
    struct rig_worker *worker = rig_worker_join(&rig, &rig_inline, 0, 1);

    (void)state;
    rig.dispatcher.limits.kill_stuck_after_ms = 1000;
    rig_add(&rig, 1);
    rig_wait(&rig, 980);
    assert_int_equal(worker->expired_events, 0);
    rig_wait(&rig, 1000);
    assert_int_equal(worker->expired_events, 1);
    rig_kill(&rig, worker);
    assert_int_equal(rig_waiting(&rig), 1);
}

static void test_the_hard_limit_counts_for_a_worker_that_is_only_probed(void **state) {
    struct rig_worker *worker = rig_worker_join(&rig, &rig_accept, 0, 4);

    (void)state;
    rig.dispatcher.limits.kill_stuck_after_ms = 1000;
    rig_add(&rig, 2);
    rig_wait(&rig, 2000);
    assert_int_equal(worker->stuck_events, 1);
    assert_int_equal(worker->expired_events, 1);
    assert_int_equal(rig_waiting(&rig), 2);
}

static void test_the_users_soft_limit_goes_before_the_deliverys(void **state) {
    struct rig_worker *worker = rig_worker_join(&rig, &rig_inline, 0, 1);

    (void)state;
    rig.dispatcher.limits.slow_after_ms = 500;
    rig_add(&rig, 1);
    rig_wait(&rig, 480);
    assert_int_equal(worker->stuck_events, 0);
    rig_wait(&rig, 20);
    assert_int_equal(worker->stuck_events, 1);
}

static void test_a_worker_that_keeps_answering_is_never_stuck(void **state) {
    struct rig_worker *worker = rig_worker_join(&rig, &rig_inline, 0, 4);

    (void)state;
    rig_add(&rig, 4);
    for (int i = 0; i < 20; i++) {
        rig_wait(&rig, 200);
        rig_acknowledge(&rig, worker, 0);
        rig_add(&rig, 1);
    }
    assert_int_equal(worker->stuck_events, 0);
}

static void test_a_worker_stuck_while_it_drains_is_announced(void **state) {
    struct rig_worker *worker = rig_worker_join(&rig, &rig_inline, 0, 1);

    (void)state;
    rig.dispatcher.limits.kill_stuck_after_ms = 1000;
    rig_add(&rig, 1);
    rig_leave(&rig, worker, false);
    rig_wait(&rig, 1200);
    assert_int_equal(worker->expired_events, 1);
}

/* --- full ways --- */

static void test_a_full_way_loses_nothing_and_keeps_the_order(void **state) {
    struct rig_worker *worker = rig_worker_create(&rig, &rig_inline, 0, 16);

    (void)state;
    worker->capacity = 3;
    rig_join(&rig, worker);
    rig_add(&rig, 8);
    assert_int_equal(worker->member.unacknowledged, 3);
    assert_int_equal(worker->member.handed_total, 3);
    assert_true(worker->member.blocked);
    assert_int_equal(rig_waiting(&rig), 5);
    assert_int_equal(rig_in_line(&rig, 0), 4);
    assert_int_equal(worker->member.returned_total, 0);
    rig_give_room(&rig, worker, 2);
    assert_int_equal(worker->member.handed_total, 5);
    rig_give_room(&rig, worker, RIG_UNLIMITED);
    for (uint32_t number = 1; number <= 8; number++)
        rig_acknowledge(&rig, worker, 0);
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(rig.served_order[i], i + 1);
}

static void test_a_full_way_is_tried_once_a_tick(void **state) {
    struct rig_worker *worker = rig_worker_create(&rig, &rig_inline, 0, 16);

    (void)state;
    worker->capacity = 0;
    rig_join(&rig, worker);
    rig_add(&rig, 200);
    rig_wait(&rig, 1000);
    assert_in_range(worker->sends, 2, 1000 / DISPATCHER_TICK + 2);
    worker->capacity = RIG_UNLIMITED;
    rig_wait(&rig, DISPATCHER_TICK);
    assert_int_equal(worker->member.unacknowledged, 16);
}

static void test_a_full_way_lets_others_take_the_clients(void **state) {
    struct rig_worker *full = rig_worker_create(&rig, &rig_inline, 0, 4);
    struct rig_worker *other;

    (void)state;
    full->capacity = 0;
    rig_join(&rig, full);
    other = rig_worker_join(&rig, &rig_inline, 1, 4);
    rig_add(&rig, 4); /* at once, not at the next tick */
    assert_int_equal(full->sends, 1);
    assert_int_equal(full->member.unacknowledged, 0);
    assert_int_equal(other->member.unacknowledged, 4);
}

static void test_room_for_a_worker_that_rests_does_not_end_its_rest(void **state) {
    struct rig_worker *worker = rig_worker_join(&rig, &rig_inline, 0, 4);

    (void)state;
    worker->capacity = 2;
    rig_add(&rig, 4);
    rig_refuse(&rig, worker, 0);
    assert_true(worker->member.blocked);
    rig_give_room(&rig, worker, RIG_UNLIMITED);
    assert_int_equal(worker->member.unacknowledged, 1);
    rig_wait(&rig, DISPATCHER_TICK);
    assert_int_equal(worker->member.unacknowledged, 4);
}

/* --- accept-like windows --- */

static void test_full_windows_are_settled_only_when_nobody_is_free(void **state) {
    struct rig_worker *worker = rig_worker_join(&rig, &rig_accept, 0, 4);

    (void)state;
    rig_add(&rig, 4);
    assert_false(worker->member.watched);
    rig_receive(&rig, worker);
    rig_receive(&rig, worker);
    rig_add(&rig, 1); /* this one finds it full, and asks */
    assert_int_equal(rig_waiting(&rig), 0);
    assert_int_equal(worker->member.unacknowledged, 3);
    rig_add(&rig, 2);
    assert_true(worker->member.watched);
    assert_int_equal(rig_waiting(&rig), 1);
    rig_receive(&rig, worker); /* now it is heard at once */
    assert_int_equal(rig_waiting(&rig), 0);
    assert_false(worker->member.watched);
}

static void test_a_tick_settles_what_was_received_meanwhile(void **state) {
    struct rig_worker *worker = rig_worker_join(&rig, &rig_accept, 0, 4);

    (void)state;
    rig_add(&rig, 3);
    rig_receive(&rig, worker);
    rig_receive(&rig, worker);
    assert_int_equal(worker->member.unacknowledged, 3);
    rig_wait(&rig, DISPATCHER_TICK);
    assert_int_equal(worker->member.unacknowledged, 1);
    assert_int_equal(worker->member.acknowledged_total, 2);
    rig_receive(&rig, worker);
    rig_wait(&rig, 2 * DISPATCHER_TICK);
    assert_false(rig.dispatcher.ticking); /* nothing is left to look after */
}

/* --- keyed policies --- */

static void test_a_busy_worker_holds_up_only_its_own_clients(void **state) {
    struct rig_worker *workers[2];
    uint64_t keys[2] = {0, 0};

    (void)state;
    restart_with("hash");
    workers[0] = rig_worker_join(&rig, &rig_inline, 0, 1);
    workers[1] = rig_worker_join(&rig, &rig_inline, 1, 1);
    for (uint64_t key = 1; keys[0] == 0 || keys[1] == 0; key++)
        keys[policy_pick(rig.spy->real, key)] = key;
    for (int i = 0; i < 3; i++)
        rig_add_keyed(&rig, keys[0]);
    rig_add_keyed(&rig, keys[1]);
    dispatcher_run(&rig.dispatcher, rig.now_ms);
    rig_check(&rig);
    assert_int_equal(rig_handed(workers[0], 0)->cookie, 1);
    assert_int_equal(rig_handed(workers[1], 0)->cookie, 4);
    assert_int_equal(rig_waiting(&rig), 2);
    rig_acknowledge(&rig, workers[1], 0);
    assert_int_equal(rig_waiting(&rig), 2);
    rig_kill(&rig, workers[0]); /* its clients move, in order */
    for (uint32_t number = 1; number <= 3; number++) {
        assert_int_equal(rig_handed(workers[1], 0)->cookie, number);
        rig_acknowledge(&rig, workers[1], 0);
    }
}

/* --- counts --- */

static void test_more_acknowledgements_than_clients_do_not_wrap(void **state) {
    struct rig_worker *worker = rig_worker_join(&rig, &rig_inline, 0, 4);

    (void)state;
    dispatcher_acknowledged(&worker->member, 3, rig.now_ms);
    rig_check(&rig);
    assert_int_equal(worker->member.unacknowledged, 0);
    assert_int_equal(dispatcher_credit(&rig.dispatcher), DISPATCHER_LINE_MAX + 4);
}

static void test_what_a_worker_reports_reaches_the_policy(void **state) {
    struct rig_worker *worker = rig_worker_join(&rig, &rig_inline, 2, 4);

    (void)state;
    worker->member.load = 40;
    worker->member.open = 7;
    dispatcher_refresh(&worker->member);
    rig_check(&rig);
    assert_int_equal(rig.spy->seen[2].load, 40);
    assert_int_equal(rig.spy->seen[2].open, 7);
}

static void test_512_members_share_the_clients(void **state) {
    uint32_t least = UINT32_MAX;
    uint32_t most = 0;

    (void)state;
    for (uint32_t i = 0; i < 512; i++)
        rig_worker_join(&rig, i % 2 ? &rig_inline : &rig_accept, i, 4);
    for (int i = 0; i < 32; i++)
        rig_add(&rig, 64);
    assert_int_equal(rig_waiting(&rig), 0);
    for (uint32_t i = 0; i < 512; i++) {
        uint32_t count = rig.workers[i].member.unacknowledged;

        least = count < least ? count : least;
        most = count > most ? count : most;
    }
    assert_int_equal(least, 4);
    assert_int_equal(most, 4);
    for (uint32_t i = 0; i < 511; i++)
        rig_leave(&rig, &rig.workers[i], true);
    assert_int_equal(rig_waiting(&rig), 511 * 4);
    for (uint32_t i = 1; i < rig_waiting(&rig); i += 97)
        assert_true(rig_in_line(&rig, i) > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(clients_wait_while_there_is_no_worker),
        TEST(an_acknowledgement_brings_the_next_in_line),
        TEST(a_client_is_handed_to_the_worker_that_is_meant),
        TEST(a_client_that_is_not_taken_stays_the_callers),
        TEST(several_clients_of_a_worker_go_in_one_send),
        TEST(credit_is_the_room_of_the_windows_and_a_short_line),
        TEST(the_thirsty_hear_of_credit_once_half_the_line_is_free),
        TEST(the_thirsty_hear_of_credit_when_old_clients_are_let_go),
        TEST(only_those_that_waited_too_long_are_let_go),
        TEST(a_refused_client_goes_to_the_front_and_to_another_worker),
        TEST(a_worker_that_refuses_rests_longer_each_time),
        TEST(when_all_refuse_nobody_is_asked_without_pause),
        TEST(a_late_refusal_of_a_worker_that_left_is_dealt_again),
        TEST(what_a_dead_worker_had_not_accepted_is_dealt_again_in_order),
        TEST(a_dead_accept_worker_loses_only_what_it_received),
        TEST(each_worker_dead_in_turn_all_but_one_and_all),
        TEST(a_successor_takes_the_seat_and_the_old_one_finishes),
        TEST(another_policy_decides_at_once_about_who_is_there),
        TEST(another_policy_takes_those_that_wait),
        TEST(an_accept_worker_that_leaves_gives_back_what_it_has_not_received),
        TEST(to_join_or_leave_twice_is_harmless),
        TEST(a_shared_member_is_never_a_candidate),
        TEST(a_stuck_inline_worker_gets_no_more_until_it_answers),
        TEST(a_stuck_accept_worker_loses_its_clients_to_another),
        TEST(a_stuck_worker_is_asked_when_no_descriptor_is_left),
        TEST(what_cannot_be_recalled_stays_and_is_a_sign_of_life),
        TEST(a_stuck_worker_that_cannot_be_asked_is_tried_with_clients),
        TEST(a_withdrawn_worker_keeps_what_it_was_sent_even_when_it_is_slow),
        TEST(a_stuck_worker_recovers_however_its_probe_is_noticed),
        TEST(the_hard_limit_is_announced_once),
        TEST(the_hard_limit_counts_for_a_worker_that_is_only_probed),
        TEST(the_users_soft_limit_goes_before_the_deliverys),
        TEST(a_worker_that_keeps_answering_is_never_stuck),
        TEST(a_worker_stuck_while_it_drains_is_announced),
        TEST(a_full_way_loses_nothing_and_keeps_the_order),
        TEST(a_full_way_is_tried_once_a_tick),
        TEST(a_full_way_lets_others_take_the_clients),
        TEST(room_for_a_worker_that_rests_does_not_end_its_rest),
        TEST(full_windows_are_settled_only_when_nobody_is_free),
        TEST(a_tick_settles_what_was_received_meanwhile),
        TEST(a_busy_worker_holds_up_only_its_own_clients),
        TEST(more_acknowledgements_than_clients_do_not_wrap),
        TEST(what_a_worker_reports_reaches_the_policy),
        TEST(512_members_share_the_clients),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
