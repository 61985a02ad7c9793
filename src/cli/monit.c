/* The happy path: the screen is taken, the daemon asked; then whatever comes, a key, an answer, an
 * event, a second that has passed, changes the view, and the view is painted; `q` gives the screen
 * back.
 *
 * It can fail when there is no terminal, when ncurses does not know its type, and when the daemon
 * is not there at first. One that ends later is waited for, and one that does not answer is said
 * to. SIGINT, SIGTERM and SIGHUP are read from a descriptor, so that the screen is given back like
 * with `q`; ncurses' own handling of SIGTSTP does so for control-Z. */
#include "cli/monit.h"

#include "base/clock.h"
#include "cli/monit_daemon.h"

#include <curses.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#define ASK_EVERY_MS  1000
#define DRAW_EVERY_MS 50 /* at most, however much is printed */
#define ESCAPE_MS     25 /* within which the rest of a key's sequence must follow */
#define CONTROL_H     8
#define CONTROL_L     12
#define ESCAPE        27
#define RUBOUT        127
#define SILENT_MS     3000 /* without an answer, after which it is said */

enum { POLL_KEYS = MONIT_CONNECTIONS, POLL_SIGNALS, POLL_COUNT };

struct monit {
    struct draw_style style;
    struct monit_view view;
    struct monit_daemon daemon;
    const char *socket_path;
    struct monit_grid grid;
    SCREEN *screen;
    int signals; /* signalfd */
    sigset_t mask_before;
    uint64_t asked_ms;
    uint64_t drawn_ms;
    bool changed; /* since it was drawn */
    bool left;
};

/* --- the screen --- */

static void define_colours(void) {
    static const short colours[] = {
        [DRAW_RED] = COLOR_RED,   [DRAW_GREEN] = COLOR_GREEN,     [DRAW_YELLOW] = COLOR_YELLOW,
        [DRAW_BLUE] = COLOR_BLUE, [DRAW_MAGENTA] = COLOR_MAGENTA, [DRAW_CYAN] = COLOR_CYAN};

    start_color();
    use_default_colors();
    for (int i = DRAW_RED; i <= DRAW_CYAN; i++)
        init_pair((short)i, colours[i], -1);
}

static int screen_open(struct monit *monit) {
    monit->screen = newterm(NULL, stdout, stdin);
    if (!monit->screen)
        return UV_ENOTSUP;
    set_term(monit->screen);
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(ESCAPE_MS);
    curs_set(0);
    monit->style.colour = monit->style.colour && has_colors();
    monit->style.utf8 = monit->style.utf8 && MB_CUR_MAX > 1; /* ncurses goes by the locale */
    if (monit->style.colour)
        define_colours();
    return monit_grid_init(&monit->grid, (unsigned)LINES, (unsigned)COLS);
}

static void screen_close(struct monit *monit) {
    if (!monit->screen)
        return;
    /* Where there is no other screen to go back to, what follows is printed here. */
    move(LINES - 1, 0);
    attrset(A_NORMAL);
    clrtoeol();
    refresh();
    endwin();
    delscreen(monit->screen);
    monit->screen = NULL;
    monit_grid_clear(&monit->grid);
}

/* What a look is on this terminal: without colours heads are bold and what is wrong is, too. */
static attr_t attributes_of(const struct monit *monit, const struct monit_cell *cell) {
    attr_t attributes = cell->reverse ? A_REVERSE : A_NORMAL;

    switch (cell->colour) {
    case DRAW_PLAIN:
    case DRAW_GREY:
        return attributes | (cell->colour == DRAW_GREY ? A_DIM : A_NORMAL);
    case DRAW_DIM:
        return attributes | A_DIM;
    case DRAW_BOLD:
        return attributes | A_BOLD;
    case DRAW_HEAD:
        return attributes | A_BOLD | (monit->style.colour ? COLOR_PAIR(DRAW_CYAN) : A_NORMAL);
    default:
        if (monit->style.colour)
            return attributes | (attr_t)COLOR_PAIR(cell->colour);
        return attributes | (cell->colour == DRAW_RED ? A_BOLD : A_NORMAL);
    }
}

static void paint(struct monit *monit) {
    const struct monit_grid *grid = &monit->grid;

    for (unsigned row = 0; row < grid->rows; row++) {
        move((int)row, 0);
        for (unsigned column = 0; column < grid->columns; column++) {
            const struct monit_cell *cell = &grid->cells[(size_t)row * grid->columns + column];

            attrset((int)attributes_of(monit, cell));
            addstr(cell->text);
        }
    }
    refresh();
}

/* How old the figures are, once that is worth a word. */
static unsigned silent_seconds(const struct monit *monit) {
    uint64_t since_ms = (uint64_t)monit->view.updated_ms;
    uint64_t now_ms = clock_ms();

    return since_ms > 0 && now_ms >= since_ms + SILENT_MS ? (unsigned)((now_ms - since_ms) / 1000)
                                                          : 0;
}

static void draw(struct monit *monit) {
    struct timespec now;

    monit->view.silent_seconds = silent_seconds(monit);
    clock_gettime(CLOCK_REALTIME, &now);
    monit_view_draw(&monit->view, &monit->grid, &monit->style,
                    (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
    paint(monit);
    monit->drawn_ms = clock_ms();
    monit->changed = false;
}

static int resize(struct monit *monit) {
    struct winsize size;
    struct monit_grid grid;
    int result;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 || size.ws_col == 0)
        return 0;
    result = monit_grid_init(&grid, size.ws_row, size.ws_col);
    if (result < 0)
        return result;
    monit_grid_clear(&monit->grid);
    monit->grid = grid;
    resizeterm(size.ws_row, size.ws_col);
    clearok(curscr, TRUE); /* terminals differ in what they keep of the old contents */
    return 0;
}

/* --- keys and signals --- */

static int key_of(int code) {
    switch (code) {
    case KEY_UP:
        return MONIT_KEY_UP;
    case KEY_DOWN:
        return MONIT_KEY_DOWN;
    case KEY_PPAGE:
        return MONIT_KEY_PAGE_UP;
    case KEY_NPAGE:
        return MONIT_KEY_PAGE_DOWN;
    case KEY_HOME:
        return MONIT_KEY_FIRST;
    case KEY_END:
        return MONIT_KEY_LAST;
    case KEY_ENTER:
        return '\n';
    case KEY_BACKSPACE:
    case CONTROL_H:
    case RUBOUT:
        return MONIT_KEY_RUBOUT;
    case ESCAPE:
        return MONIT_KEY_ESCAPE;
    default:
        return code;
    }
}

static int act(struct monit *monit, struct monit_action *action) {
    if (!monit->view.gone)
        return monit_daemon_act(&monit->daemon, action);
    free(action->body);
    return 0;
}

static int take_keys(struct monit *monit) {
    struct monit_action action;
    int result = 0;
    int code;

    while (result == 0 && !monit->left && (code = getch()) != ERR) {
        monit->changed = true;
        if (code == CONTROL_L) /* as everywhere: the screen anew */
            clearok(curscr, TRUE);
        switch (monit_view_key(&monit->view, key_of(code), &action)) {
        case MONIT_QUIT:
            monit->left = true;
            break;
        case MONIT_ACT:
            result = act(monit, &action);
            break;
        case MONIT_SHOW:
            break;
        }
    }
    return result;
}

static int take_signals(struct monit *monit) {
    struct signalfd_siginfo info;

    while (read(monit->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        monit->changed = true;
        if (info.ssi_signo != SIGWINCH)
            monit->left = true;
        else if (resize(monit) < 0)
            return UV_ENOMEM;
    }
    return 0;
}

static int signals_open(struct monit *monit) {
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGHUP);
    sigaddset(&mask, SIGWINCH);
    monit->signals = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
    if (monit->signals < 0)
        return uv_translate_sys_error(errno);
    sigprocmask(SIG_BLOCK, &mask, &monit->mask_before);
    return 0;
}

static void signals_close(struct monit *monit) {
    if (monit->signals < 0)
        return;
    close(monit->signals);
    sigprocmask(SIG_SETMASK, &monit->mask_before, NULL);
}

/* --- the loop --- */

/* The daemon's end is no reason to leave, for `update` and service managers start another one. What
 * it cannot be understood for is. */
static int endure(struct monit *monit, int result) {
    if (result >= 0 || result == UV_ENOMEM || result == UV_EPROTO || result == UV_EINVAL ||
        result == UV_EMSGSIZE)
        return result;
    monit_daemon_close(&monit->daemon);
    monit->view.gone = true;
    monit->view.asks_to_stop = false;
    monit->changed = true;
    return 0;
}

static int connect_again(struct monit *monit) {
    int result = monit_daemon_open(&monit->daemon, monit->socket_path, &monit->view);

    if (result < 0)
        return result;
    monit->view.gone = false;
    monit_view_forget_output(&monit->view);
    return monit_daemon_ask(&monit->daemon);
}

/* Until the daemon is to be asked again, or what has changed may be drawn. */
static int next_wait(const struct monit *monit, uint64_t now_ms) {
    uint64_t ask_ms = monit->asked_ms + ASK_EVERY_MS;
    uint64_t draw_ms = monit->drawn_ms + DRAW_EVERY_MS;
    uint64_t next_ms = monit->changed && draw_ms < ask_ms ? draw_ms : ask_ms;

    return next_ms > now_ms ? (int)(next_ms - now_ms) : 0;
}

static int ask_in_time(struct monit *monit) {
    if (monit->asked_ms != 0 && clock_ms() < monit->asked_ms + ASK_EVERY_MS)
        return 0;
    monit->asked_ms = clock_ms();
    monit->changed = true; /* times have passed */
    return monit->view.gone ? connect_again(monit) : monit_daemon_ask(&monit->daemon);
}

static int turn(struct monit *monit) {
    struct pollfd descriptors[POLL_COUNT];
    int result = endure(monit, ask_in_time(monit));

    if (result < 0)
        return result;
    monit_daemon_poll(&monit->daemon, descriptors);
    descriptors[POLL_KEYS] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    descriptors[POLL_SIGNALS] = (struct pollfd){.fd = monit->signals, .events = POLLIN};
    result = poll(descriptors, POLL_COUNT, next_wait(monit, clock_ms()));
    if (result > 0) {
        monit->changed = true;
        if (descriptors[POLL_KEYS].revents & (POLLHUP | POLLERR | POLLNVAL))
            monit->left = true; /* the terminal is gone */
        result = endure(monit, monit_daemon_receive(&monit->daemon, descriptors));
    } else {
        result = 0; /* time, or a signal that ncurses handles */
    }
    if (result == 0)
        result = take_signals(monit);
    if (result == 0)
        result = endure(monit, take_keys(monit));
    if (monit->changed && clock_ms() >= monit->drawn_ms + DRAW_EVERY_MS && !monit->left)
        draw(monit);
    return result;
}

static int show(struct monit *monit) {
    int result = signals_open(monit);

    if (result == 0)
        result = screen_open(monit);
    while (result == 0 && !monit->left)
        result = turn(monit);
    screen_close(monit);
    signals_close(monit);
    return result;
}

static int complain(const struct monit_options *options, int error, bool connected) {
    const char *term = getenv("TERM");

    if (error == UV_ENOTSUP)
        fprintf(stderr, "baton: monit needs a terminal that can be drawn on; TERM is '%s'\n",
                term ? term : "");
    else if (!connected)
        fprintf(stderr, "baton: no daemon answers at %s: %s\n", options->socket_path,
                uv_strerror(error));
    else
        fprintf(stderr, "baton: the daemon cannot be understood: %s\n", uv_strerror(error));
    return 1;
}

int monit_run(const struct monit_options *options) {
    struct monit monit = {
        .style = options->style, .socket_path = options->socket_path, .signals = -1};
    int result;

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        fprintf(stderr, "baton: monit draws on a terminal; use 'list' or 'logs' in a pipe\n");
        return 1;
    }
    if (monit_view_init(&monit.view) < 0)
        return 1;
    result = monit_daemon_open(&monit.daemon, options->socket_path, &monit.view);
    if (result < 0) {
        result = complain(options, result, false);
        goto done;
    }
    result = options->style.redraws ? show(&monit) : UV_ENOTSUP;
    monit_daemon_close(&monit.daemon);
    if (result < 0)
        result = complain(options, result, true);
done:
    monit_view_clear(&monit.view);
    return result;
}
