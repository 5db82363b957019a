// SPDX-License-Identifier: Apache-2.0
// Leaves a queue with a message, two semaphores and memory behind, under the key of its argument.
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

int main(int argc, char **argv) {
	key_t key = ftok(argv[1], 'p');
	struct { long type; char text[12]; } m = {3, "from the old"};
	int q = msgget(key, IPC_CREAT | 0600), s = semget(key, 2, IPC_CREAT | 0600), h = shmget(key, 4096, IPC_CREAT | 0600);
	char *p = shmat(h, 0, 0);
	if (argc != 2 || q < 0 || s < 0 || h < 0 || p == (char *)-1 || msgsnd(q, &m, sizeof m.text, 0) || semctl(s, 0, SETVAL, 4) || semctl(s, 1, SETVAL, 2)) {
		perror("old");
		return 1;
	}
	strcpy(p, "in memory");
	printf("key %d\n", (int)key);
	return 0;
}
