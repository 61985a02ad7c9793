/* The part of a child that speaks to a Node program which is only supervised: no worker of Node's
 * cluster, but it has a channel, as under PM2: process.send('ready') is heard where that is waited
 * for, and 'shutdown' is sent where the settings ask for it. Whatever else it says is not for us.
 */
#ifndef BATON_MASTER_NODE_ALONE_H
#define BATON_MASTER_NODE_ALONE_H

struct child_language;

extern const struct child_language node_alone; /* for child_options.language */

#endif
