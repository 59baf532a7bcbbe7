/* A PKCS#11 module in front of another one, which fails on demand and counts what it is asked.
 *
 * FAULTY_MODULE   the real module
 * FAULTY_CONTROL  a file of lines "FUNCTION WHAT [NUMBER [NUMBER]]", read anew at each call:
 *                 delay MIN MAX (ms), error CODE, hang, crash, flip (spoils what C_Sign gives)
 * FAULTY_LOG      a file that gets a line "FUNCTION RESULT" after each call
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef unsigned long ulong_t;
typedef ulong_t (*call_t)(ulong_t, ulong_t, ulong_t, ulong_t, ulong_t, ulong_t);
struct functions { unsigned char version[2]; call_t call[68]; };

static struct functions ours, *theirs;

static void say(const char *name, ulong_t result)
{
    char line[64];
    const char *path = getenv("FAULTY_LOG");
    int file = path ? open(path, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (file < 0)
        return;
    int length = snprintf(line, sizeof line, "%s %lu\n", name, result);
    if (write(file, line, (size_t)length) < 0)
        abort();
    close(file);
}

static void wait_ms(long ms)
{
    struct timespec span = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&span, NULL);
}

/* What the control file asks of a function: its result, 0 to go on; *flip as it says. */
static ulong_t asked(const char *name, int *flip)
{
    char function[64], what[16];
    const char *path = getenv("FAULTY_CONTROL");
    FILE *file = path ? fopen(path, "r") : NULL;
    ulong_t result = 0;
    char line[128];
    while (file && fgets(line, sizeof line, file)) {
        long low = 0, high = 0;
        if (sscanf(line, "%63s %15s %ld %ld", function, what, &low, &high) < 2
            || strcmp(function, name) != 0)
            continue;
        if (strcmp(what, "delay") == 0)
            wait_ms(low + (high > low ? random() % (high - low) : 0));
        else if (strcmp(what, "error") == 0)
            result = (ulong_t)low;
        else if (strcmp(what, "flip") == 0)
            *flip = 1;
        else if (strcmp(what, "crash") == 0)
            abort();
        else if (strcmp(what, "hang") == 0)
            for (;;)
                pause();
    }
    if (file)
        fclose(file);
    return result;
}

/* All arguments are whole words, so one form serves every function of up to six. */
#define WRAP(place, name)                                                                     \
    static ulong_t our_##name(ulong_t a, ulong_t b, ulong_t c, ulong_t d, ulong_t e, ulong_t f) \
    {                                                                                         \
        int flip = 0;                                                                         \
        ulong_t result = asked(#name, &flip);                                                 \
        if (result == 0)                                                                      \
            result = theirs->call[place](a, b, c, d, e, f);                                   \
        if (result == 0 && flip)                                                              \
            ((unsigned char *)d)[7] ^= 1;                                                     \
        say(#name, result);                                                                   \
        return result;                                                                        \
    }

WRAP(0, C_Initialize)
WRAP(4, C_GetSlotList)
WRAP(12, C_OpenSession)
WRAP(18, C_Login)
WRAP(26, C_FindObjectsInit)
WRAP(42, C_SignInit)
WRAP(43, C_Sign)

ulong_t C_GetFunctionList(struct functions **list)
{
    if (!theirs) {
        void *module = dlopen(getenv("FAULTY_MODULE"), RTLD_NOW | RTLD_LOCAL);
        ulong_t (*get)(struct functions **) = module ? dlsym(module, "C_GetFunctionList") : NULL;
        if (!get || get(&theirs) != 0)
            return 5;
        ours = *theirs;
        ours.call[0] = our_C_Initialize;
        ours.call[4] = our_C_GetSlotList;
        ours.call[12] = our_C_OpenSession;
        ours.call[18] = our_C_Login;
        ours.call[26] = our_C_FindObjectsInit;
        ours.call[42] = our_C_SignInit;
        ours.call[43] = our_C_Sign;
    }
    *list = &ours;
    return 0;
}
