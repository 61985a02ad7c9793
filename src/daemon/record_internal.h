/* What the files of a record share: record.c has its life and its processes, record_health.c asks
 * its workers, record_triggers.c restarts them by the clock or because files have changed. */
#ifndef BATON_DAEMON_RECORD_INTERNAL_H
#define BATON_DAEMON_RECORD_INTERNAL_H

#include "daemon/record.h"

#include <stdbool.h>
#include <stdint.h>

/* --- record.c --- */

/* To be called when the app or the watch of a closing record has ended: the last one ends it. */
void record_finish_closing(struct record *record);

/* --- record_health.c --- */

/* A process is in another state: each worker that serves has its own checks. */
void record_health_follow(struct record *record, uint32_t slot,
                          const struct app_slot_status *status);

/* Whether the new worker of a reload is examined; if so app_examined() is called later. */
bool record_health_examine(struct record *record, uint32_t slot);

/* A replacement has failed: the old worker is checked again. */
void record_health_again(const struct record *record, uint32_t slot);

/* Nothing is asked any more. */
void record_health_stop(struct record *record, uint32_t slot);

/* --- record_triggers.c --- */

/* cron_restart and watch, as the settings say; what cannot be watched is logged. */
void record_triggers_start(struct record *record);

/* The settings are others. */
void record_triggers_renew(struct record *record);

/* With record_finish_closing() when a watch has ended. */
void record_triggers_close(struct record *record);

#endif
