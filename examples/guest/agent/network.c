/* SPDX-License-Identifier: Apache-2.0 */
#include "network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

bool network_parse_mac(const char *text, unsigned char out[6])
{
    unsigned part[6];
    int end = 0;

    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &part[0], &part[1], &part[2], &part[3], &part[4],
               &part[5], &end) != 6 ||
        strlen(text) != 17 || end != 17) {
        return false;
    }
    for (int i = 0; i < 6; i++) {
        out[i] = (unsigned char)part[i];
    }
    return true;
}

bool network_parse_gateway(const char *text, uint32_t *gateway)
{
    struct in_addr address;

    if (inet_pton(AF_INET, text, &address) != 1) {
        return false;
    }
    *gateway = address.s_addr;
    return true;
}

bool network_parse_address(const char *text, uint32_t *address, uint32_t *mask)
{
    char host[16];
    const char *slash = strchr(text, '/');
    char *end;
    unsigned long bits;

    if (slash == NULL || (size_t)(slash - text) >= sizeof(host) || slash[1] < '0' ||
        slash[1] > '9') {
        return false;
    }
    snprintf(host, sizeof(host), "%.*s", (int)(slash - text), text);
    bits = strtoul(slash + 1, &end, 10);
    if (*end != '\0' || bits > 32) {
        return false;
    }
    *mask = htonl((uint32_t)(UINT64_C(0xffffffff) << (32 - bits)));
    return network_parse_gateway(host, address);
}

static void name(struct ifreq *request, const struct network_change *change)
{
    memset(request, 0, sizeof(*request));
    snprintf(request->ifr_name, sizeof(request->ifr_name), "%s", change->interface);
}

static bool set_up(int fd, const struct network_change *change, bool up)
{
    struct ifreq request;

    name(&request, change);
    if (ioctl(fd, SIOCGIFFLAGS, &request) < 0) {
        return false;
    }
    request.ifr_flags = (short)(up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
    return ioctl(fd, SIOCSIFFLAGS, &request) == 0;
}

/* Not every device takes another one while it is up. */
static bool set_mac(int fd, const struct network_change *change)
{
    struct ifreq request;

    name(&request, change);
    request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    memcpy(request.ifr_hwaddr.sa_data, change->mac, sizeof(change->mac));
    return set_up(fd, change, false) && ioctl(fd, SIOCSIFHWADDR, &request) == 0;
}

static void put(struct sockaddr *to, uint32_t address)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr = { address } };

    memcpy(to, &in, sizeof(in));
}

static bool set_address(int fd, const struct network_change *change)
{
    struct ifreq request;

    name(&request, change);
    put(&request.ifr_addr, change->address);
    if (ioctl(fd, SIOCSIFADDR, &request) < 0) {
        return false;
    }
    put(&request.ifr_netmask, change->mask);
    return ioctl(fd, SIOCSIFNETMASK, &request) == 0;
}

static bool set_gateway(int fd, const struct network_change *change)
{
    char interface[IFNAMSIZ];
    struct rtentry route = { .rt_flags = RTF_UP | RTF_GATEWAY, .rt_dev = interface };

    snprintf(interface, sizeof(interface), "%s", change->interface);
    put(&route.rt_dst, 0);
    put(&route.rt_genmask, 0);
    put(&route.rt_gateway, change->gateway);
    return ioctl(fd, SIOCADDRT, &route) == 0 || errno == EEXIST;
}

int network_apply(const struct network_change *change)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int errnum = 0;

    if (fd < 0) {
        return errno;
    }
    if ((change->has_mac && !set_mac(fd, change)) ||
        (change->address != 0 && !set_address(fd, change)) || !set_up(fd, change, true) ||
        (change->gateway != 0 && !set_gateway(fd, change))) {
        errnum = errno;
    }
    close(fd);
    return errnum;
}

void network_init(void)
{
    const struct network_change loopback = { .interface = "lo" };

    (void)network_apply(&loopback);
}
