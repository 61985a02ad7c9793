/* Where the preload library is: beside our own program, as it is built, or in the library folder
 * that it was installed into, relative to the program, so that the tree may stand anywhere. */
#ifndef BATON_MASTER_PRELOAD_LIBRARY_H
#define BATON_MASTER_PRELOAD_LIBRARY_H

#include <limits.h>

#define PRELOAD_LIBRARY_NAME "libbaton-preload.so"

/* The absolute path. 0, UV_ENOENT when it is in neither place, or UV_EINVAL when LD_PRELOAD cannot
 * express the path, for it has a blank or a colon (ld.so(8)). */
int preload_library_find(char path[PATH_MAX]);

#endif
