/* The version of the package that a script belongs to: what people want to see in the list. */
#ifndef BATON_DAEMON_PACKAGE_H
#define BATON_DAEMON_PACKAGE_H

/* "version" of the package.json that is nearest to the script, in its directory or one above, or
 * NULL when there is none; the text is the caller's. Reads files. */
char *package_version(const char *script);

#endif
