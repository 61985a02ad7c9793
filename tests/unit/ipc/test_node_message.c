#include "ipc/node_message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit/failing_memory.h"

static int read_text(const char *line, struct node_message *message) {
    return node_message_read(line, strlen(line), message);
}

static struct node_message must_read(const char *line) {
    struct node_message message;

    assert_int_equal(read_text(line, &message), 0);
    return message;
}

static void assert_type(const char *line, enum node_message_type type) {
    struct node_message message = must_read(line);

    assert_int_equal(message.type, type);
    node_message_clear(&message);
}

static void assert_refused(const char *line) {
    struct node_message message;

    assert_int_equal(read_text(line, &message), -EPROTO);
}

/* ---- Reading: lines as Node 20 wrote them ---- */

static void test_online(void **state) {
    struct node_message message =
        must_read("{\"cmd\":\"NODE_CLUSTER\",\"act\":\"online\",\"seq\":0}");

    (void)state;
    assert_int_equal(message.type, NODE_MESSAGE_ONLINE);
    assert_int_equal(message.sequence, 0);
    assert_int_equal(message.acknowledges, -1);
    assert_null(message.document);
    node_message_clear(&message);
}

static void test_query_for_port(void **state) {
    struct node_message message =
        must_read("{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":0,\"data\":null,"
                  "\"address\":null,\"port\":3000,\"addressType\":4,\"backlog\":0,\"seq\":1}");

    (void)state;
    assert_int_equal(message.type, NODE_MESSAGE_QUERY_SERVER);
    assert_int_equal(message.sequence, 1);
    assert_int_equal(message.listen.type, NODE_ADDRESS_TCP4);
    assert_false(message.listen.has_address);
    assert_string_equal(message.listen.address, "");
    assert_int_equal(message.listen.port, 3000);
    assert_int_equal(message.listen.backlog, 511);
    assert_int_equal(message.listen.descriptor, -1);
    assert_string_equal(message.listen.data, "null");
    node_message_clear(&message);
}

static void test_query_for_host(void **state) {
    struct node_message message =
        must_read("{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":2,\"data\":null,"
                  "\"address\":\"::1\",\"port\":0,\"addressType\":6,\"flags\":1,\"backlog\":7,"
                  "\"seq\":12}");

    (void)state;
    assert_int_equal(message.listen.type, NODE_ADDRESS_TCP6);
    assert_true(message.listen.has_address);
    assert_string_equal(message.listen.address, "::1");
    assert_int_equal(message.listen.address_length, 3);
    assert_int_equal(message.listen.port, 0);
    assert_int_equal(message.listen.index, 2);
    assert_int_equal(message.listen.flags, NODE_FLAG_TCP_IPV6ONLY);
    assert_int_equal(message.listen.backlog, 7);
    node_message_clear(&message);
}

static void test_query_with_data(void **state) {
    struct node_message message = must_read(
        "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":0,"
        "\"data\":{\"ticketKeys\":\"2c0f\", \"more\" : [1,2.5,true,null,\"\\u00e9\\u0000\"]},"
        "\"address\":null,\"port\":443,\"addressType\":4,\"backlog\":0,\"seq\":1}");

    (void)state;
    assert_string_equal(message.listen.data, "{\"ticketKeys\":\"2c0f\",\"more\":[1,2.5,true,null,"
                                             "\"\xc3\xa9\\u0000\"]}");
    node_message_clear(&message);
    assert_string_equal(message.listen.data, "null");
}

static void test_query_for_unix_path(void **state) {
    struct node_message message = must_read(
        "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":0,\"data\":null,\"address\":"
        "\"/srv/x.sock\",\"port\":-1,\"addressType\":-1,\"backlog\":0,\"readableAll\":true,"
        "\"seq\":1}");

    (void)state;
    assert_int_equal(message.listen.type, NODE_ADDRESS_UNIX);
    assert_string_equal(message.listen.address, "/srv/x.sock");
    assert_false(message.listen.abstract);
    assert_int_equal(message.listen.port, -1);
    assert_true(message.listen.readable_all);
    assert_false(message.listen.writable_all);
    node_message_clear(&message);
}

static void test_query_for_abstract_name(void **state) {
    struct node_message message = must_read(
        "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":0,\"data\":null,\"address\":"
        "\"/srv/app/"
        "\\u0000one\\u0000two\",\"port\":-1,\"addressType\":-1,\"backlog\":0,\"seq\":1}");

    (void)state;
    assert_true(message.listen.abstract);
    assert_int_equal(message.listen.address_length, 7);
    assert_memory_equal(message.listen.address, "one\0two", 8);
    node_message_clear(&message);
}

static void query_path(char *line, size_t size, int length) {
    snprintf(line, size,
             "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"address\":\"/%0*d\",\"port\":-1,"
             "\"addressType\":-1,\"seq\":1}",
             length - 1, 0);
}

static void test_path_length_limit(void **state) {
    struct node_message message;
    char line[512];

    (void)state;
    query_path(line, sizeof(line), 107);
    message = must_read(line);
    assert_false(message.listen.address_too_long);
    assert_int_equal(message.listen.address_length, 107);
    node_message_clear(&message);
    query_path(line, sizeof(line), 108);
    message = must_read(line);
    assert_true(message.listen.address_too_long);
    assert_int_equal(strlen(message.listen.address), 107);
    node_message_clear(&message);
}

static void test_query_for_udp(void **state) {
    struct node_message message =
        must_read("{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":0,\"data\":null,"
                  "\"address\":\"127.0.0.1\",\"port\":\"39102\",\"addressType\":\"udp4\",\"fd\":-1,"
                  "\"flags\":4,\"seq\":1}");

    (void)state;
    assert_int_equal(message.listen.type, NODE_ADDRESS_UDP4);
    assert_int_equal(message.listen.port, 39102);
    assert_int_equal(message.listen.flags, NODE_FLAG_UDP_REUSEADDR);
    assert_int_equal(message.listen.descriptor, -1);
    node_message_clear(&message);
    message = must_read("{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":0,"
                        "\"data\":null,\"address\":\"::\",\"addressType\":\"udp6\",\"fd\":-1,"
                        "\"flags\":0,\"seq\":1}");
    assert_int_equal(message.listen.type, NODE_ADDRESS_UDP6);
    assert_int_equal(message.listen.port, 0);
    node_message_clear(&message);
}

static void test_query_for_descriptor(void **state) {
    struct node_message message =
        must_read("{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"index\":0,\"data\":null,"
                  "\"address\":null,\"port\":null,\"addressType\":null,\"fd\":5,\"backlog\":0,"
                  "\"seq\":1}");

    (void)state;
    assert_int_equal(message.listen.type, NODE_ADDRESS_DESCRIPTOR);
    assert_int_equal(message.listen.descriptor, 5);
    assert_int_equal(message.listen.port, -1);
    node_message_clear(&message);
}

static void assert_backlog(const char *text, int32_t backlog) {
    struct node_message message;
    char line[256];

    snprintf(line, sizeof(line),
             "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"queryServer\",\"port\":1,\"addressType\":4,"
             "\"backlog\":%s,\"seq\":1}",
             text);
    message = must_read(line);
    assert_int_equal(message.listen.backlog, backlog);
    node_message_clear(&message);
}

static void test_backlog_forms(void **state) {
    (void)state;
    assert_backlog("0", 511);
    assert_backlog("false", 511);
    assert_backlog("null", 511);
    assert_backlog("true", 511);
    assert_backlog("-3", 511);
    assert_backlog("\"77\"", 77);
    assert_backlog("\"many\"", 511);
    assert_backlog("1", 1);
    assert_backlog("128.9", 128);
    assert_backlog("1e300", INT32_MAX);
}

static void test_listening(void **state) {
    struct node_message message =
        must_read("{\"cmd\":\"NODE_CLUSTER\",\"act\":\"listening\",\"index\":0,\"data\":null,"
                  "\"address\":null,\"port\":4321,\"addressType\":4,\"backlog\":0,\"seq\":2}");

    (void)state;
    assert_int_equal(message.type, NODE_MESSAGE_LISTENING);
    assert_int_equal(message.listen.port, 4321);
    node_message_clear(&message);
}

static void test_close_and_exit(void **state) {
    struct node_message message =
        must_read("{\"cmd\":\"NODE_CLUSTER\",\"act\":\"close\",\"key\":\"17\",\"seq\":4}");

    (void)state;
    assert_int_equal(message.type, NODE_MESSAGE_CLOSE);
    assert_string_equal(message.key, "17");
    node_message_clear(&message);
    message = must_read("{\"cmd\":\"NODE_CLUSTER\",\"act\":\"exitedAfterDisconnect\",\"seq\":5}");
    assert_int_equal(message.type, NODE_MESSAGE_EXITING);
    assert_int_equal(message.sequence, 5);
    node_message_clear(&message);
}

static void test_key_length_limit(void **state) {
    struct node_message message;
    char line[512];

    (void)state;
    snprintf(line, sizeof(line), "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"close\",\"key\":\"%0255d\"}",
             7);
    message = must_read(line);
    assert_int_equal(strlen(message.key), 255);
    node_message_clear(&message);
    snprintf(line, sizeof(line), "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"close\",\"key\":\"%0256d\"}",
             7);
    assert_refused(line);
    assert_refused("{\"cmd\":\"NODE_CLUSTER\",\"act\":\"close\",\"key\":\"1\\u0000\"}");
}

static void test_descriptor_messages(void **state) {
    struct node_message message;

    (void)state;
    assert_type("{\"cmd\":\"NODE_HANDLE_ACK\"}", NODE_MESSAGE_HANDLE_ACK);
    assert_type("{\"cmd\":\"NODE_HANDLE_NACK\"}", NODE_MESSAGE_HANDLE_NACK);
    assert_type("{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Socket\",\"msg\":\"take\",\"key\":"
                "\"4:null:39106\"}",
                NODE_MESSAGE_HANDLE);
    message = must_read("{\"cmd\":\"NODE_SOCKET_GET_COUNT\",\"key\":\"4:null:39106\"}");
    assert_int_equal(message.type, NODE_MESSAGE_SOCKET_COUNT);
    assert_string_equal(message.key, "4:null:39106");
    node_message_clear(&message);
    assert_type("{\"cmd\":\"NODE_SOCKET_NOTIFY_CLOSE\",\"key\":\"4:null:39106\"}",
                NODE_MESSAGE_SOCKET_CLOSED);
}

/* ---- What is internal, and what is the program's ---- */

static void test_user_values(void **state) {
    static const char *const lines[] = {
        "true",
        "3.5",
        "null",
        "[]",
        "{}",
        "\"\"",
        "{\"cmd\":5}",
        "{\"cmd\":\"NODE_\"}",
        "{\"a\":1}",
        "{\"cmd\":\"node_cluster\"}",
        "1e21",
        "123456789012345678901234567890",
        "\"\\ud83d\"",
        "[\"\\udc00\\ud83d\\u0041\\ud83d\\ude00\"]",
        "{\"\\u0000\":1}",
        "{\"msg\":{\"cmd\":\"NODE_CLUSTER\"}}",
        " {\"cmd\" : \"NOD\\u0045\"} ",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_type(lines[i], NODE_MESSAGE_USER);
}

static void assert_text(const char *line, const char *text) {
    struct node_message message = must_read(line);

    assert_int_equal(message.type, NODE_MESSAGE_USER);
    assert_string_equal(message.text, text);
    node_message_clear(&message);
}

static void test_user_text(void **state) {
    (void)state;
    assert_text("\"ready\"", "ready");
    assert_text("\"r\\u00e9ady\"", "r\xc3\xa9"
                                   "ady");
    assert_text("{\"ready\":true}", "");
    assert_text("\"ready\\u0000!\"", "");
    /* 64 letters are cut to 63, and never within a character. */
    assert_text("\"0123456789012345678901234567890123456789012345678901234567890123\"",
                "012345678901234567890123456789012345678901234567890123456789012");
    assert_text("\"01234567890123456789012345678901234567890123456789012345678901\\u00e9\"",
                "01234567890123456789012345678901234567890123456789012345678901");
}

static void test_unknown_is_ignored(void **state) {
    (void)state;
    assert_type("{\"cmd\":\"NODE_DEBUG_ENABLED\"}", NODE_MESSAGE_UNKNOWN);
    assert_type("{\"cmd\":\"NODE_CLUSTER\"}", NODE_MESSAGE_UNKNOWN);
    assert_type("{\"cmd\":\"NODE_CLUSTER\",\"act\":\"dance\",\"seq\":1}", NODE_MESSAGE_UNKNOWN);
    assert_type("{\"cmd\":\"NODE_CLUSTER\",\"act\":7}", NODE_MESSAGE_UNKNOWN);
    assert_type("{\"cmd\":\"NODE_CLUSTER\",\"ack\":4,\"seq\":1}", NODE_MESSAGE_UNKNOWN);
    assert_type("{\"cmd\":\"NODE_CLUSTER\\u0000\",\"act\":\"online\"}", NODE_MESSAGE_UNKNOWN);
}

static void test_no_json(void **state) {
    static const char *const lines[] = {
        "",     " ",    "{",        "}",     "{\"cmd\":\"NODE_HANDLE_ACK\"",
        "junk", "\"a",  "\"\\ud83", "01",    "{\"cmd\":\"NODE_HANDLE_ACK\"}}",
        "1 2",  "\x80", "\"\xff\"", "'a'",   "{\"cmd\":\"NODE_HANDLE_ACK\",}",
        "[1,]", "\"\\", "\\",       "1e999", "\"\\ud83d\\\"",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_refused(lines[i]);
    assert_refused("\"a raw \x01 control byte\"");
}

static void test_raw_nul_byte(void **state) {
    struct node_message message;

    (void)state;
    assert_int_equal(node_message_read("\"a\0b\"", 5, &message), -EPROTO);
    assert_int_equal(node_message_read("1\0", 2, &message), -EPROTO);
}

#define CLUSTER "{\"cmd\":\"NODE_CLUSTER\","
#define QUERY   CLUSTER "\"act\":\"queryServer\","

static void test_mistyped_fields(void **state) {
    static const char *const lines[] = {
        CLUSTER "\"act\":\"exitedAfterDisconnect\"}",
        CLUSTER "\"act\":\"exitedAfterDisconnect\",\"seq\":null}",
        CLUSTER "\"act\":\"online\",\"seq\":\"1\"}",
        CLUSTER "\"act\":\"online\",\"seq\":-1}",
        CLUSTER "\"act\":\"online\",\"seq\":1.5}",
        CLUSTER "\"act\":\"online\",\"seq\":1e300}",
        CLUSTER "\"act\":\"online\",\"seq\":9007199254740992}",
        CLUSTER "\"act\":\"close\"}",
        CLUSTER "\"act\":\"close\",\"key\":3}",
        CLUSTER "\"ack\":\"4\",\"accepted\":true}",
        CLUSTER "\"accepted\":true,\"seq\":1}",
        CLUSTER "\"ack\":4,\"accepted\":1,\"seq\":1}",
        CLUSTER "\"ack\":-4,\"accepted\":true,\"seq\":1}",
        QUERY "\"port\":80,\"addressType\":4}",
        QUERY "\"port\":65536,\"addressType\":4,\"seq\":1}",
        QUERY "\"port\":-2,\"addressType\":4,\"seq\":1}",
        QUERY "\"port\":\"80\",\"addressType\":4,\"seq\":1}",
        QUERY "\"port\":\"x\",\"addressType\":\"udp4\",\"seq\":1}",
        QUERY "\"port\":80,\"addressType\":5,\"seq\":1}",
        QUERY "\"port\":80,\"addressType\":\"tcp\",\"seq\":1}",
        QUERY "\"port\":80,\"addressType\":[],\"seq\":1}",
        QUERY "\"port\":80,\"addressType\":null,\"seq\":1}",
        QUERY "\"port\":80,\"seq\":1}",
        QUERY "\"port\":-1,\"addressType\":-1,\"address\":null,\"seq\":1}",
        QUERY "\"port\":80,\"addressType\":4,\"address\":7,\"seq\":1}",
        QUERY "\"port\":80,\"addressType\":4,\"address\":\"a\\u0000\",\"seq\":1}",
        QUERY "\"port\":80,\"addressType\":4,\"index\":-1,\"seq\":1}",
        QUERY "\"port\":80,\"addressType\":4,\"flags\":4294967296,\"seq\":1}",
        QUERY "\"port\":80,\"addressType\":4,\"fd\":\"3\",\"seq\":1}",
        "{\"cmd\":\"NODE_SOCKET_GET_COUNT\"}",
        "{\"cmd\":\"NODE_SOCKET_NOTIFY_CLOSE\",\"key\":null}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_refused(lines[i]);
}

/* The kind of `start`, then that many brackets, closed or not, then `end`. */
static enum node_message_type read_nested(const char *start, int depth, bool closed,
                                          const char *end) {
    struct node_message message;
    char line[1024];
    int length =
        snprintf(line, sizeof line, "%s%.*s%.*s%s", start, depth,
                 "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
                 closed ? depth : 0,
                 "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", end);

    assert_int_equal(node_message_read(line, (size_t)length, &message), 0);
    node_message_clear(&message);
    return message.type;
}

static void test_nesting_limit(void **state) {
    char *deep = malloc(60000);

    (void)state;
    assert_int_equal(read_nested("", 64, true, ""), NODE_MESSAGE_USER);
    assert_int_equal(read_nested("", 65, true, ""), NODE_MESSAGE_USER);
    assert_int_equal(read_nested("", 65, false, ""), NODE_MESSAGE_USER); /* not looked into */
    assert_int_equal(read_nested("{\"cmd\":\"NODE_HANDLE\",\"msg\":", 65, true, "}"),
                     NODE_MESSAGE_HANDLE);
    memset(deep, '[', 60000);
    assert_int_equal(node_message_read(deep, 60000, &(struct node_message){0}), 0);
    /* Brackets in a string nest nothing, whatever is escaped in it. */
    deep[0] = '"';
    memcpy(deep + 1, "\\\"\\\\", 4);
    deep[59999] = '"';
    assert_int_equal(node_message_read(deep, 60000, &(struct node_message){0}), 0);
    free(deep);
}

/* ---- The two frequent lines are recognised without the JSON reader: both ways must agree ---- */

static void assert_same_both_ways(const char *line) {
    struct node_message fast, slow;
    char spaced[256];
    int fast_error = read_text(line, &fast);
    int slow_error;

    snprintf(spaced, sizeof(spaced), " %s", line); /* Node never writes a blank */
    slow_error = read_text(spaced, &slow);
    assert_int_equal(fast_error, slow_error);
    if (fast_error)
        return;
    assert_int_equal(fast.type, slow.type);
    assert_int_equal(fast.sequence, slow.sequence);
    assert_int_equal(fast.acknowledges, slow.acknowledges);
    assert_int_equal(fast.listen.port, slow.listen.port);
    assert_string_equal(fast.listen.data, slow.listen.data);
    assert_string_equal(fast.key, slow.key);
    assert_string_equal(fast.text, slow.text);
    node_message_clear(&fast);
    node_message_clear(&slow);
}

static void test_frequent_lines(void **state) {
    struct node_message message =
        must_read("{\"cmd\":\"NODE_CLUSTER\",\"ack\":4,\"accepted\":true,\"seq\":5}");

    (void)state;
    assert_int_equal(message.type, NODE_MESSAGE_ACCEPTED);
    assert_int_equal(message.acknowledges, 4);
    assert_int_equal(message.sequence, 5);
    node_message_clear(&message);
    message = must_read("{\"cmd\":\"NODE_CLUSTER\",\"ack\":0,\"accepted\":false,\"seq\":17}");
    assert_int_equal(message.type, NODE_MESSAGE_REFUSED);
    assert_int_equal(message.acknowledges, 0);
    assert_int_equal(message.sequence, 17);
    node_message_clear(&message);
}

static void test_frequent_lines_agree(void **state) {
    static const char *const numbers[] = {
        "0",
        "1",
        "9",
        "10",
        "4294967296",
        "999999999999999",
        "1000000000000000",
        "00",
        "01",
        "-0",
        "-1",
        "1.0",
        "1e2",
        "9007199254740991",
        "",
        "null",
        "\"1\"",
        "18446744073709551616",
        "9007199254740993",
    };
    static const char *const flags[] = {"true", "false", "null", "1", "True", "", "\"true\""};
    static const char *const ends[] = {"}", "", "}}", " }", ",\"x\":1}", "} ", ",}"};
    const size_t count = sizeof(numbers) / sizeof(numbers[0]);
    char line[256];

    (void)state;
    for (size_t i = 0; i < count * count * 7 * 7; i++) {
        snprintf(line, sizeof(line),
                 "{\"cmd\":\"NODE_CLUSTER\",\"ack\":%s,\"accepted\":%s,\"seq\":%s%s",
                 numbers[i % count], flags[i / count / count % 7], numbers[i / count % count],
                 ends[i / count / count / 7]);
        assert_same_both_ways(line);
    }
}

static void test_frequent_lines_cut_and_changed(void **state) {
    static const char *const lines[] = {
        "{\"cmd\":\"NODE_HANDLE_ACK\"}",
        "{\"cmd\":\"NODE_CLUSTER\",\"ack\":12,\"accepted\":true,\"seq\":345}",
        "{\"cmd\":\"NODE_CLUSTER\",\"ack\":12,\"accepted\":false,\"seq\":345}",
    };
    char line[256];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        for (size_t at = 0; at < strlen(lines[i]); at++) {
            snprintf(line, sizeof(line), "%.*s", (int)at, lines[i]);
            assert_same_both_ways(line);
            snprintf(line, sizeof(line), "%s", lines[i]);
            for (const char *byte = "x0\"{}, :\\"; *byte; byte++) {
                line[at] = *byte;
                assert_same_both_ways(line);
            }
        }
    }
}

static void test_key_order_is_free(void **state) {
    struct node_message message =
        must_read("{\"seq\":5, \"accepted\":true, \"cmd\":\"NODE_CLUSTER\", \"ack\":4}");

    (void)state;
    assert_int_equal(message.type, NODE_MESSAGE_ACCEPTED);
    assert_int_equal(message.acknowledges, 4);
    node_message_clear(&message);
}

static void test_failure_leaves_result_alone(void **state) {
    struct node_message message = {.sequence = 77};

    (void)state;
    assert_int_equal(read_text("{\"cmd\":\"NODE_CLUSTER\",\"act\":\"close\"}", &message), -EPROTO);
    assert_int_equal(message.sequence, 77);
}

static void test_type_of_cut_line(void **state) {
    static const char handle[] = "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Socket\",\"msg\":\"aaa";
    static const char user[] = "{\"text\":\"{\\\"cmd\\\":\\\"NODE_HANDLE\\\",";

    (void)state;
    assert_int_equal(node_message_type_of_cut(handle, strlen(handle)), NODE_MESSAGE_HANDLE);
    assert_int_equal(node_message_type_of_cut(user, strlen(user)), NODE_MESSAGE_USER);
    assert_int_equal(node_message_type_of_cut(handle, 5), NODE_MESSAGE_USER);
}

/* ---- Writing ---- */

static void assert_written(struct buffer *out, const char *line) {
    assert_int_equal(buffer_length(out), strlen(line));
    assert_memory_equal(buffer_data(out), line, strlen(line));
    buffer_clear(out);
}

static struct sockaddr_in6 address_ipv6(uint16_t port) {
    return (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
}

static void test_listen_reply_ipv6(void **state) {
    struct sockaddr_in6 address = address_ipv6(3000);
    struct node_listen_reply reply = {.acknowledges = 1,
                                      .key = "7",
                                      .data = "null",
                                      .address = (const struct sockaddr *)&address,
                                      .address_length = sizeof(address)};
    struct buffer out;

    (void)state;
    buffer_init(&out);
    assert_int_equal(node_message_listen_reply(&out, &reply, 0), 0);
    assert_written(&out, "{\"cmd\":\"NODE_CLUSTER\",\"errno\":null,\"key\":\"7\",\"ack\":1,"
                         "\"data\":null,\"sockname\":{\"address\":\"::\",\"family\":\"IPv6\","
                         "\"port\":3000},\"seq\":0}\n");
}

static void test_listen_reply_ipv4_with_data(void **state) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(65535)};
    struct node_listen_reply reply = {.acknowledges = 9,
                                      .key = "a\"\n",
                                      .data = "{\"ticketKeys\":\"2c0f\"}",
                                      .address = (const struct sockaddr *)&address,
                                      .address_length = sizeof(address)};
    struct buffer out;

    (void)state;
    buffer_init(&out);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(node_message_listen_reply(&out, &reply, 12), 0);
    assert_written(&out, "{\"cmd\":\"NODE_CLUSTER\",\"errno\":null,\"key\":\"a\\\"\\n\",\"ack\":9,"
                         "\"data\":{\"ticketKeys\":\"2c0f\"},\"sockname\":{\"address\":"
                         "\"127.0.0.1\",\"family\":\"IPv4\",\"port\":65535},\"seq\":12}\n");
}

static void test_listen_reply_longest_address(void **state) {
    struct sockaddr_in6 address = address_ipv6(65535);
    struct node_listen_reply reply = {.key = "0",
                                      .data = "null",
                                      .address = (const struct sockaddr *)&address,
                                      .address_length = sizeof(address)};
    struct buffer out;

    (void)state;
    buffer_init(&out);
    inet_pton(AF_INET6, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", &address.sin6_addr);
    assert_int_equal(node_message_listen_reply(&out, &reply, 1), 0);
    assert_written(&out, "{\"cmd\":\"NODE_CLUSTER\",\"errno\":null,\"key\":\"0\",\"ack\":0,"
                         "\"data\":null,\"sockname\":{\"address\":"
                         "\"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe\",\"family\":\"IPv6\","
                         "\"port\":65535},\"seq\":1}\n");
}

static void test_listen_reply_without_address(void **state) {
    struct node_listen_reply reply = {.acknowledges = 1, .key = "0", .data = "null"};
    struct buffer out;

    (void)state;
    buffer_init(&out);
    assert_int_equal(node_message_listen_reply(&out, &reply, 0), 0);
    assert_written(&out, "{\"cmd\":\"NODE_CLUSTER\",\"errno\":null,\"key\":\"0\",\"ack\":1,"
                         "\"data\":null,\"seq\":0}\n");
}

static void test_listen_reply_error(void **state) {
    struct sockaddr_in6 address = address_ipv6(3000);
    struct node_listen_reply reply = {.acknowledges = 1,
                                      .error = -EADDRINUSE,
                                      .key = "0",
                                      .data = "{\"ticketKeys\":\"2c0f\"}",
                                      .address = (const struct sockaddr *)&address,
                                      .address_length = sizeof(address)};
    struct buffer out;

    (void)state;
    buffer_init(&out);
    assert_int_equal(node_message_listen_reply(&out, &reply, 1), 0);
    assert_written(&out, "{\"cmd\":\"NODE_CLUSTER\",\"errno\":-98,\"key\":\"0\",\"ack\":1,"
                         "\"data\":{\"ticketKeys\":\"2c0f\"},\"seq\":1}\n");
}

static void test_shared_reply(void **state) {
    struct node_listen_reply reply = {.acknowledges = 1, .key = "3", .data = "null"};
    struct buffer out;

    (void)state;
    buffer_init(&out);
    assert_int_equal(node_message_shared_reply(&out, &reply, true, 0), 0);
    assert_written(&out, "{\"cmd\":\"NODE_HANDLE\",\"type\":\"dgram.Native\",\"msg\":{\"cmd\":"
                         "\"NODE_CLUSTER\",\"errno\":0,\"key\":\"3\",\"ack\":1,\"data\":null,"
                         "\"seq\":0}}\n");
    assert_int_equal(node_message_shared_reply(&out, &reply, false, 6), 0);
    assert_written(&out, "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{\"cmd\":"
                         "\"NODE_CLUSTER\",\"errno\":0,\"key\":\"3\",\"ack\":1,\"data\":null,"
                         "\"seq\":6}}\n");
}

static void test_short_messages(void **state) {
    struct buffer out;

    (void)state;
    buffer_init(&out);
    assert_int_equal(node_message_reply_plain(&out, 5, 6), 0);
    assert_written(&out, "{\"cmd\":\"NODE_CLUSTER\",\"ack\":5,\"seq\":6}\n");
    assert_int_equal(node_message_disconnect(&out, 7), 0);
    assert_written(&out, "{\"cmd\":\"NODE_CLUSTER\",\"act\":\"disconnect\",\"seq\":7}\n");
    assert_int_equal(node_message_handle_ack(&out), 0);
    assert_written(&out, "{\"cmd\":\"NODE_HANDLE_ACK\"}\n");
    assert_int_equal(node_message_handle_nack(&out), 0);
    assert_written(&out, "{\"cmd\":\"NODE_HANDLE_NACK\"}\n");
    assert_int_equal(node_message_socket_count(&out, "4:null:1"), 0);
    assert_written(&out, "{\"cmd\":\"NODE_SOCKET_COUNT\",\"key\":\"4:null:1\",\"count\":0}\n");
    assert_int_equal(node_message_socket_all_closed(&out, "4:null:1"), 0);
    assert_written(&out, "{\"cmd\":\"NODE_SOCKET_ALL_CLOSED\",\"key\":\"4:null:1\"}\n");
    assert_int_equal(node_message_user_text(&out, "shut\tdown"), 0);
    assert_written(&out, "\"shut\\tdown\"\n");
}

static void test_newconn(void **state) {
    static const struct {
        uint32_t key;
        int64_t sequence;
    } cases[] = {{0, 0}, {1, 9}, {10, 100}, {UINT32_MAX, INT64_MAX}, {7, -1}, {7, INT64_MIN}};
    char line[NODE_NEWCONN_MAX];
    char expected[256];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t length = node_message_newconn(line, cases[i].key, cases[i].sequence);

        snprintf(expected, sizeof(expected),
                 "{\"cmd\":\"NODE_HANDLE\",\"type\":\"net.Native\",\"msg\":{\"cmd\":"
                 "\"NODE_CLUSTER\",\"act\":\"newconn\",\"key\":\"%" PRIu32 "\",\"seq\":%" PRId64
                 "}}\n",
                 cases[i].key, cases[i].sequence);
        assert_int_equal(length, strlen(expected));
        assert_memory_equal(line, expected, length);
    }
}

#if HAS_FAILING_MEMORY
/* A worker chooses how long its texts are: where memory for one is out nothing is overrun. */
static void test_a_text_without_memory_is_refused(void **state) {
    char line[9000] = "{\"a\":\"";
    size_t begun = strlen(line);
    struct node_message message;
    long number = 0;
    int result;

    (void)state;
    memset(line + begun, 'x', sizeof line - begun);
    memcpy(line + sizeof line - sizeof "\"}", "\"}", sizeof "\"}");
    do {
        memory_left = ++number;
        result = read_text(line, &message);
        memory_left = 0;
        assert_true(result == 0 || result == -ENOMEM);
    } while (result < 0);
    assert_true(number > 10);
    assert_int_equal(message.type, NODE_MESSAGE_USER);
    node_message_clear(&message);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
#if HAS_FAILING_MEMORY
        cmocka_unit_test(test_a_text_without_memory_is_refused),
#endif
        cmocka_unit_test(test_online),
        cmocka_unit_test(test_query_for_port),
        cmocka_unit_test(test_query_for_host),
        cmocka_unit_test(test_query_with_data),
        cmocka_unit_test(test_query_for_unix_path),
        cmocka_unit_test(test_query_for_abstract_name),
        cmocka_unit_test(test_path_length_limit),
        cmocka_unit_test(test_query_for_udp),
        cmocka_unit_test(test_query_for_descriptor),
        cmocka_unit_test(test_backlog_forms),
        cmocka_unit_test(test_listening),
        cmocka_unit_test(test_close_and_exit),
        cmocka_unit_test(test_key_length_limit),
        cmocka_unit_test(test_descriptor_messages),
        cmocka_unit_test(test_user_values),
        cmocka_unit_test(test_user_text),
        cmocka_unit_test(test_unknown_is_ignored),
        cmocka_unit_test(test_no_json),
        cmocka_unit_test(test_raw_nul_byte),
        cmocka_unit_test(test_mistyped_fields),
        cmocka_unit_test(test_nesting_limit),
        cmocka_unit_test(test_frequent_lines),
        cmocka_unit_test(test_frequent_lines_agree),
        cmocka_unit_test(test_frequent_lines_cut_and_changed),
        cmocka_unit_test(test_key_order_is_free),
        cmocka_unit_test(test_failure_leaves_result_alone),
        cmocka_unit_test(test_type_of_cut_line),
        cmocka_unit_test(test_listen_reply_ipv6),
        cmocka_unit_test(test_listen_reply_ipv4_with_data),
        cmocka_unit_test(test_listen_reply_longest_address),
        cmocka_unit_test(test_listen_reply_without_address),
        cmocka_unit_test(test_listen_reply_error),
        cmocka_unit_test(test_shared_reply),
        cmocka_unit_test(test_short_messages),
        cmocka_unit_test(test_newconn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
