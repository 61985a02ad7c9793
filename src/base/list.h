/* A circular, doubly linked list that lives inside its elements.
 *
 * The element embeds a `struct list`; the list itself is a `struct list` head. Nothing is
 * allocated. An element that is in no list points to itself, so removing it again is harmless.
 * Being in a list is being owned by it. */
#ifndef BATON_BASE_LIST_H
#define BATON_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next;
    struct list *previous;
};

/* The element of `type` that embeds the list node `node` as `member`. */
#define LIST_ENTRY(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* NOLINTBEGIN(bugprone-macro-parentheses): `node` and `following` are names, not expressions. */
/* Visits each node of `head`; `following` lets the body remove `node` itself. */
#define LIST_EACH(node, following, head)                                                           \
    for (struct list *node = (head)->next, *following = node->next; node != (head);                \
         node = following, following = node->next)

/* NOLINTEND(bugprone-macro-parentheses) */

static inline void list_init(struct list *node) {
    node->next = node;
    node->previous = node;
}

static inline bool list_empty(const struct list *head) {
    return head->next == head;
}

static inline void list_insert_before(struct list *position, struct list *node) {
    node->next = position;
    node->previous = position->previous;
    position->previous->next = node;
    position->previous = node;
}

static inline void list_push_back(struct list *head, struct list *node) {
    list_insert_before(head, node);
}

/* Takes the node out of whichever list it is in; afterwards it is in none. */
static inline void list_remove(struct list *node) {
    node->previous->next = node->next;
    node->next->previous = node->previous;
    list_init(node);
}

/* The first node, taken out, or NULL when the list is empty. */
static inline struct list *list_pop_front(struct list *head) {
    struct list *first = head->next;

    if (first == head)
        return NULL;
    list_remove(first);
    return first;
}

/* Moves every node of `from` to the end of `to`, in order; `from` is empty afterwards. */
static inline void list_move_all(struct list *to, struct list *from) {
    if (list_empty(from))
        return;
    from->next->previous = to->previous;
    from->previous->next = to;
    to->previous->next = from->next;
    to->previous = from->previous;
    list_init(from);
}

#endif
