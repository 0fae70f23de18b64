// Loaded before the C library of a JVM (LD_PRELOAD). CHAOS_CLOCK names a file that begins with the seconds by which the wall
// clock of this process is wrong (int64); CHAOS_BIND makes what would listen on all addresses listen on 127.0.0.1.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t zero, *skew = &zero;
static int (*real_bind)(int, const struct sockaddr *, socklen_t);
static int only_loopback;

__attribute__((constructor)) static void begin(void) {
	const char *path = getenv("CHAOS_CLOCK");
	if (path) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0) {
			void *p = mmap(NULL, 8, PROT_READ, MAP_SHARED, fd, 0);
			if (p != MAP_FAILED) skew = p;
			close(fd);
		}
	}
	only_loopback = getenv("CHAOS_BIND") != NULL;
	real_bind = (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "bind");
}

int clock_gettime(clockid_t id, struct timespec *ts) {
	int r = (int)syscall(SYS_clock_gettime, id, ts);
	if (r == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) ts->tv_sec += *skew;
	return r;
}

int gettimeofday(struct timeval *tv, void *tz) {
	struct timespec ts;
	(void)tz;
	clock_gettime(CLOCK_REALTIME, &ts);
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *out) {
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	if (out) *out = ts.tv_sec;
	return ts.tv_sec;
}

int bind(int fd, const struct sockaddr *a, socklen_t n) {
	if (only_loopback && a->sa_family == AF_INET) {
		struct sockaddr_in x = *(const struct sockaddr_in *)a;
		if (x.sin_addr.s_addr == htonl(INADDR_ANY) && x.sin_port != 0) {
			x.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
			return real_bind(fd, (struct sockaddr *)&x, n);
		}
	}
	if (only_loopback && a->sa_family == AF_INET6) {
		struct sockaddr_in6 x = *(const struct sockaddr_in6 *)a;
		static const uint8_t v4any[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0};
		int any = IN6_IS_ADDR_UNSPECIFIED(&x.sin6_addr);
		for (int i = 0, same = 1; i < 16; i++) {
			same = same && x.sin6_addr.s6_addr[i] == v4any[i];
			if (i == 15 && same) any = 1;
		}
		if (any && x.sin6_port != 0) {
			inet_pton(AF_INET6, "::ffff:127.0.0.1", &x.sin6_addr);
			return real_bind(fd, (struct sockaddr *)&x, n);
		}
	}
	return real_bind(fd, a, n);
}
