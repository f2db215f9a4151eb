/* daemon/notify.h - tell the service manager where we are (sd_notify(3), by hand). */
#ifndef RAG_DAEMON_NOTIFY_H
#define RAG_DAEMON_NOTIFY_H

/* Send "READY=1", "STOPPING=1" ... to $NOTIFY_SOCKET; nothing when it is not set. */
void notify_state(const char *state);

#endif
