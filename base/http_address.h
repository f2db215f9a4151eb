/* base/http_address.h - what kind of network an address belongs to. Pure, thread-safe.
 *
 * Names are not to be trusted (DNS may answer anything, and something else the next time), so what
 * counts is the address that is about to be connected to. Source: the IANA special-purpose address
 * registries (RFC 6890 and what updates it), RFC 6052 (64:ff9b::/96), RFC 3056 (2002::/16). */
#ifndef RAG_BASE_HTTP_ADDRESS_H
#define RAG_BASE_HTTP_ADDRESS_H

#include <sys/socket.h>

enum http_address_class {
    HTTP_ADDRESS_PUBLIC,
    HTTP_ADDRESS_PRIVATE, /* loopback, private use, link-local, carrier NAT, unique local */
    HTTP_ADDRESS_NEVER,   /* no server of ours is there: unspecified, multicast, reserved,
                           * documentation, and the metadata services of clouds */
};

/* Of an IPv4 or IPv6 address; one in another family is HTTP_ADDRESS_NEVER. An IPv6 address that
 * stands for an IPv4 one (mapped, translated, 6to4) is of that one's class. */
enum http_address_class http_address_class(const struct sockaddr *address);

#define HTTP_ADDRESS_TEXT_BYTES 48
/* "10.0.0.1", "fe80::1"; "?" for another family. */
void http_address_text(const struct sockaddr *address, char ret[HTTP_ADDRESS_TEXT_BYTES]);

#endif
