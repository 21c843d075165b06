/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AGENT_NETWORK_H
#define AGENT_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

/* IPv4, in the order of bytes of the network; 0: leave it. */
struct network_change {
    const char *interface;
    bool has_mac;
    unsigned char mac[6];
    uint32_t address;
    uint32_t mask;
    uint32_t gateway;
};

/* "02:fc:00:00:00:01", "10.0.0.2/24", "10.0.0.1". */
bool network_parse_mac(const char *text, unsigned char out[6]);
bool network_parse_address(const char *text, uint32_t *address, uint32_t *mask);
bool network_parse_gateway(const char *text, uint32_t *gateway);

/* 0 or an errno. The interface is up afterwards. */
int network_apply(const struct network_change *change);

/* Brings the loopback up. */
void network_init(void);

#endif
