#include "base/http_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct net4 {
    uint32_t net;
    int bits;
    enum http_address_class class;
};

/* The first row that matches decides; what none matches is public. */
static const struct net4 nets4[] = {
    {0x646464C8, 32, HTTP_ADDRESS_NEVER  }, /* 100.100.100.200, metadata of a cloud */
    {0xA9FEA9FE, 32, HTTP_ADDRESS_NEVER  }, /* 169.254.169.254, that of most others */
    {0xA9FEAA02, 32, HTTP_ADDRESS_NEVER  }, /* 169.254.170.2, credentials of containers */
    {0x00000000, 8,  HTTP_ADDRESS_NEVER  }, /* "this network"; 0.0.0.0 is this machine */
    {0x0A000000, 8,  HTTP_ADDRESS_PRIVATE},
    {0x64400000, 10, HTTP_ADDRESS_PRIVATE}, /* 100.64/10, carrier NAT */
    {0x7F000000, 8,  HTTP_ADDRESS_PRIVATE},
    {0xA9FE0000, 16, HTTP_ADDRESS_PRIVATE}, /* 169.254/16, link-local */
    {0xAC100000, 12, HTTP_ADDRESS_PRIVATE}, /* 172.16/12 */
    {0xC0000000, 24, HTTP_ADDRESS_NEVER  }, /* 192.0.0/24, protocol assignments */
    {0xC0000200, 24, HTTP_ADDRESS_NEVER  }, /* 192.0.2/24, documentation */
    {0xC0586300, 24, HTTP_ADDRESS_NEVER  }, /* 192.88.99/24, old relays */
    {0xC0A80000, 16, HTTP_ADDRESS_PRIVATE},
    {0xC6120000, 15, HTTP_ADDRESS_PRIVATE}, /* 198.18/15, benchmarks */
    {0xC6336400, 24, HTTP_ADDRESS_NEVER  }, /* 198.51.100/24, documentation */
    {0xCB007100, 24, HTTP_ADDRESS_NEVER  }, /* 203.0.113/24, documentation */
    {0xE0000000, 4,  HTTP_ADDRESS_NEVER  }, /* multicast */
    {0xF0000000, 4,  HTTP_ADDRESS_NEVER  }, /* reserved, broadcast */
};

static enum http_address_class class4(uint32_t address)
{
    for (size_t i = 0; i < sizeof nets4 / sizeof nets4[0]; i++)
        if ((address ^ nets4[i].net) >> (32 - nets4[i].bits) == 0)
            return nets4[i].class;
    return HTTP_ADDRESS_PUBLIC;
}

struct net6 {
    uint8_t net[16];
    int bits;
    int v4_at; /* offset of the IPv4 address that it stands for; -1: none */
    enum http_address_class class;
};

/* Likewise, but what none matches is never used: only 2000::/3 is handed out (RFC 4291). */
static const struct net6 nets6[] = {
    {{[15] = 1},                               128, -1, HTTP_ADDRESS_PRIVATE}, /* ::1 */
    {{[10] = 0xFF, [11] = 0xFF},               96,  12, HTTP_ADDRESS_NEVER  }, /* ::ffff:a.b.c.d */
    {{0x00, 0x64, 0xFF, 0x9B},                 96,  12, HTTP_ADDRESS_NEVER  }, /* 64:ff9b::a.b.c.d */
    {{0x00, 0x64, 0xFF, 0x9B, 0x00, 0x01},     48,  -1, HTTP_ADDRESS_PRIVATE}, /* 64:ff9b:1::/48 */
    {{0xFD, 0x00, 0x0E, 0xC2, [14] = 2, 0x54}, 128, -1, HTTP_ADDRESS_NEVER  }, /* fd00:ec2::254 */
    {{0xFC},                                   7,   -1, HTTP_ADDRESS_PRIVATE}, /* unique local */
    {{0xFE, 0x80},                             10,  -1, HTTP_ADDRESS_PRIVATE}, /* link-local */
    {{0xFE, 0xC0},                             10,  -1, HTTP_ADDRESS_PRIVATE}, /* site-local, old */
    {{0x20, 0x01, 0x0D, 0xB8},                 32,  -1, HTTP_ADDRESS_NEVER  }, /* documentation */
    {{0x3F, 0xFF},                             20,  -1, HTTP_ADDRESS_NEVER  }, /* likewise */
    {{0x20, 0x01},                             23,  -1, HTTP_ADDRESS_NEVER  }, /* Teredo, ORCHID */
    {{0x20, 0x02},                             16,  2,  HTTP_ADDRESS_NEVER  }, /* 6to4 */
    {{0x20},                                   3,   -1, HTTP_ADDRESS_PUBLIC },
};

static bool in_net6(const uint8_t address[16], const struct net6 *n)
{
    int whole = n->bits / 8;
    int rest = n->bits % 8;

    if (memcmp(address, n->net, (size_t)whole) != 0)
        return false;
    return rest == 0 || (address[whole] ^ n->net[whole]) >> (8 - rest) == 0;
}

static enum http_address_class class6(const uint8_t address[16])
{
    for (size_t i = 0; i < sizeof nets6 / sizeof nets6[0]; i++) {
        const uint8_t *v4 = address + (nets6[i].v4_at < 0 ? 0 : nets6[i].v4_at);

        if (!in_net6(address, &nets6[i]))
            continue;
        if (nets6[i].v4_at < 0)
            return nets6[i].class;
        return class4((uint32_t)v4[0] << 24 | (uint32_t)v4[1] << 16 | (uint32_t)v4[2] << 8 | v4[3]);
    }
    return HTTP_ADDRESS_NEVER;
}

enum http_address_class http_address_class(const struct sockaddr *address)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (address->sa_family == AF_INET) {
        memcpy(&v4, address, sizeof v4);
        return class4(ntohl(v4.sin_addr.s_addr));
    }
    if (address->sa_family != AF_INET6)
        return HTTP_ADDRESS_NEVER;
    memcpy(&v6, address, sizeof v6);
    return class6(v6.sin6_addr.s6_addr);
}

void http_address_text(const struct sockaddr *address, char ret[HTTP_ADDRESS_TEXT_BYTES])
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    snprintf(ret, HTTP_ADDRESS_TEXT_BYTES, "?");
    if (address->sa_family == AF_INET) {
        memcpy(&v4, address, sizeof v4);
        (void)inet_ntop(AF_INET, &v4.sin_addr, ret, HTTP_ADDRESS_TEXT_BYTES);
    } else if (address->sa_family == AF_INET6) {
        memcpy(&v6, address, sizeof v6);
        (void)inet_ntop(AF_INET6, &v6.sin6_addr, ret, HTTP_ADDRESS_TEXT_BYTES);
    }
}
