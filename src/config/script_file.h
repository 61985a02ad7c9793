/* Process files that are JavaScript: evaluated by the program `node` in PATH.
 *
 * Happy path: node is started with the file's name as an argument, loads it, and writes what it
 * exports as JSON to a pipe of its own; we read to the end and wait for it. What the file itself
 * prints goes to our standard error. It can fail when there is no node, when the file throws, exits
 * or exports nothing, and when it takes too long; then node is killed. */
#ifndef BATON_CONFIG_SCRIPT_FILE_H
#define BATON_CONFIG_SCRIPT_FILE_H

#include <jansson.h>

#define SCRIPT_FILE_ERROR_MAX  256
#define SCRIPT_FILE_TIMEOUT_MS 30000

/* `path` is absolute. 0 with a new reference, or UV_ENOENT (no node), UV_ETIMEDOUT, UV_E2BIG,
 * UV_EINVAL (what the file does) or another UV_E* of the system, with a sentence in `error`.
 * Blocks.
 */
int script_file_evaluate(const char *path, json_t **ret_value, char error[SCRIPT_FILE_ERROR_MAX]);

#endif
