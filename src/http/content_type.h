/* The content type that a file's name stands for. Pure. */
#ifndef BATON_HTTP_CONTENT_TYPE_H
#define BATON_HTTP_CONTENT_TYPE_H

/* A constant such as "text/html; charset=utf-8", by the extension in any case;
 * "application/octet-stream" for what is not known. */
const char *http_content_type(const char *path);

#endif
