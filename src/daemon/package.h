/* The version of the package that a script belongs to: what people want to see in the list. */
#ifndef BATON_DAEMON_PACKAGE_H
#define BATON_DAEMON_PACKAGE_H

/* "version" of the package.json that is nearest to the script, in its directory or one above, or
 * NULL when there is none; the text is the caller's. Reads files. */
char *package_version(const char *script);

/* The version of a node program as its headers, which lie beside it, have it: "20.20.2"; NULL where
 * there are none. The text is the caller's. Reads a file. */
char *package_node_version(const char *program);

#endif
