/* daemon/metrics_process.c - what the system says of this process (proc(5)). */
#define _GNU_SOURCE
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/metrics.h"

#define STAT_BYTES_MAX 4096

/* Fields of /proc/self/stat by their number in proc(5). */
#define FIELD_THREADS 20
#define FIELD_START   22 /* ticks after the boot */
#define FIELD_PAGES   24 /* resident */

static size_t count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    size_t n = 0;

    while (folder && readdir(folder))
        n++;
    if (folder)
        (void)closedir(folder);
    return n > 3 ? n - 3 : 0; /* without ".", ".." and the folder itself */
}

/* Field 'number' (3 and up): the second one may hold blanks and ends with the last ')'. */
static double stat_field(const char *text, int number)
{
    const char *at = strrchr(text, ')');

    for (int i = 2; at && i < number; i++) {
        at = strchr(at, ' ');
        if (at)
            at++;
    }
    return at ? strtod(at, NULL) : NAN;
}

static void read_stat(struct metrics *m)
{
    FILE *file = fopen("/proc/self/stat", "re");
    char text[STAT_BYTES_MAX];
    struct timespec boot;
    size_t n = 0;

    if (file) {
        n = fread(text, 1, sizeof text - 1, file);
        (void)fclose(file);
    }
    text[n] = '\0';
    if (n == 0 || isnan(stat_field(text, FIELD_PAGES)))
        return;
    metrics_set(m, METRIC_PROCESS_THREADS, stat_field(text, FIELD_THREADS));
    metrics_set(m, METRIC_PROCESS_RESIDENT_BYTES,
                stat_field(text, FIELD_PAGES) * (double)sysconf(_SC_PAGESIZE));
    if (clock_gettime(CLOCK_BOOTTIME, &boot) == 0) {
        double age = (double)boot.tv_sec + (double)boot.tv_nsec / 1e9 -
                     stat_field(text, FIELD_START) / (double)sysconf(_SC_CLK_TCK);

        metrics_set(m, METRIC_PROCESS_START_S, floor((double)clock_wall_ms() / 1000 - age));
    }
}

void metrics_read_process(struct metrics *m)
{
    struct rlimit limit;
    struct rusage usage;
    size_t n = count_descriptors();

    read_stat(m);
    if (n > 0)
        metrics_set(m, METRIC_PROCESS_OPEN_FDS, (double)n);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        metrics_set(m, METRIC_PROCESS_MAX_FDS, (double)limit.rlim_cur);
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        metrics_set_total(m, METRIC_PROCESS_CPU_US,
                          (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
                              (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec));
}
