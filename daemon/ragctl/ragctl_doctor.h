/* daemon/ragctl/ragctl_doctor.h - the parts of doctor that ask nobody. Pure. */
#ifndef RAG_DAEMON_RAGCTL_DOCTOR_H
#define RAG_DAEMON_RAGCTL_DOCTOR_H

#include <stddef.h>

/* The value of a sample without labels in a Prometheus text exposition ("name value"
 * lines), or NAN when it is not there. */
double doctor_metric(const char *text, const char *name);

#endif
