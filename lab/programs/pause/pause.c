/* Process 1 of a pod sandbox: holds the namespaces, collects orphans, goes when told to. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	sigset_t watched;
	sigemptyset(&watched);
	sigaddset(&watched, SIGCHLD);
	sigaddset(&watched, SIGINT);
	sigaddset(&watched, SIGTERM);
	/* Blocked and waited for: as process 1 the default actions would be ignored, and handlers would race with waitpid. */
	if (sigprocmask(SIG_BLOCK, &watched, NULL) != 0) {
		perror("pause: sigprocmask");
		return 1;
	}
	for (;;) {
		int got = sigwaitinfo(&watched, NULL);
		if (got == SIGINT || got == SIGTERM)
			return 0;
		if (got < 0 && errno != EINTR) {
			perror("pause: sigwaitinfo");
			return 1;
		}
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
}
