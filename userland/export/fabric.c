// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table of fabrics, and the names on them.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "../larder.h"
#include "configfs.h"
#include "fabric.h"

static const struct fabric fabrics[] = {
	{
		.name = "iscsi", .tree = "iscsi", .modules = { "iscsi_target_mod" },
		.target = WWN_IQN, .initiator = WWN_IQN, .portals = true, .enable = true,
		.chap = true, .acl_switches = true, .port = 3260,
	}, {
		.name = "iser", .tree = "iscsi", .modules = { "iscsi_target_mod", "ib_isert" },
		.target = WWN_IQN, .initiator = WWN_IQN, .portals = true, .enable = true,
		.chap = true, .acl_switches = true, .port = 3260,
	}, {
		.name = "loopback", .tree = "loopback", .modules = { "tcm_loop" },
		.target = WWN_NAA, .initiator = WWN_NONE, .initiators = INITIATORS_LOCAL,
	}, {
		.name = "vhost", .tree = "vhost", .modules = { "vhost_scsi" },
		.target = WWN_NAA, .initiator = WWN_NONE, .initiators = INITIATORS_LOCAL,
	}, {
		.name = "srp", .tree = "srpt", .modules = { "ib_srpt" }, .target = WWN_GUID,
		.initiator = WWN_GUID_OR_IP, .initiators = INITIATORS_ONLY_NAMED, .enable = true,
		.portals = true, .port_only = true, .port = 5555,
		.hint = "/sys/class/infiniband/*/node_guid",
	}, {
		.name = "fcoe", .tree = "fc", .modules = { "libfc", "tcm_fc" },
		.target = WWN_COLONS, .initiator = WWN_COLONS,
		.initiators = INITIATORS_ONLY_NAMED, .hint = "/sys/class/fc_host/*/port_name",
	}, {
		.name = "usb", .tree = "usb_gadget", .modules = { "usb_f_tcm" }, .target = WWN_NAA,
		.initiator = WWN_NONE, .initiators = INITIATORS_LOCAL, .enable = true,
	}, {
		.name = "fc", .tree = "qla2xxx", .modules = { "tcm_qla2xxx" },
		.target = WWN_COLONS, .initiator = WWN_COLONS, .enable = true,
		.acl_switches = true, .hint = "/sys/class/fc_host/*/port_name",
	}, {
		.name = "sbp", .tree = "sbp", .modules = { "sbp_target" }, .target = WWN_EUI64,
		.initiator = WWN_EUI64, .initiators = INITIATORS_ANY, .enable = true,
		.hint = "/sys/bus/firewire/devices/fw*/guid",
	}, {
		.name = "nvme-tcp", .modules = { "nvmet", "nvmet_tcp" }, .target = WWN_NQN,
		.initiator = WWN_NQN, .portals = true, .chap = true, .trtype = "tcp", .port = 4420,
	}, {
		.name = "nvme-rdma", .modules = { "nvmet", "nvmet_rdma" }, .target = WWN_NQN,
		.initiator = WWN_NQN, .portals = true, .chap = true, .trtype = "rdma",
		.port = 4420,
	},
};

#define NR_FABRICS (sizeof(fabrics) / sizeof(fabrics[0]))

const struct fabric *fabric_at(size_t i)
{
	return i < NR_FABRICS ? &fabrics[i] : NULL;
}

const struct fabric *fabric_find(const char *name)
{
	size_t i;

	for (i = 0; i < NR_FABRICS; i++)
		if (!strcmp(fabrics[i].name, name))
			return &fabrics[i];
	return NULL;
}

const struct fabric *fabric_of_tree(const char *tree)
{
	size_t i;

	for (i = 0; i < NR_FABRICS; i++)
		if (fabrics[i].tree && !strcmp(fabrics[i].tree, tree))
			return &fabrics[i];
	return NULL;
}

/* --- names --- */

/* Only these characters, of any number between the two. */
static bool made_of(const char *text, const char *others, size_t least, size_t most)
{
	size_t i;

	for (i = 0; text[i]; i++)
		if (!isxdigit((unsigned char)text[i]) && !strchr(others, text[i]))
			return false;
	return i >= least && i <= most;
}

/* "iqn.2003-01.org.example:x": a month, a domain, then what its owner likes. */
static bool is_dated(const char *text, const char *prefix)
{
	const char *form = "dddd-dd.", *at = text + strlen(prefix);
	size_t i;

	if (strncmp(text, prefix, strlen(prefix)))
		return false;
	for (i = 0; form[i]; i++)
		if (form[i] == 'd' ? !isdigit((unsigned char)at[i]) : at[i] != form[i])
			return false;
	at += i;
	if (!isalnum((unsigned char)*at))
		return false;
	for (; *at; at++)
		if (!isalnum((unsigned char)*at) && !strchr("-.:_", *at) &&
		    !((unsigned char)*at & 0x80))
			return false;
	return true;
}

static bool is_naa(const char *text)
{
	return !strncmp(text, "naa.", 4) &&
	       (made_of(text + 4, "", 16, 16) || made_of(text + 4, "", 32, 32));
}

static bool is_iqn(const char *text)
{
	return is_dated(text, "iqn.") || is_naa(text) ||
	       (!strncmp(text, "eui.", 4) && made_of(text + 4, "", 16, 16));
}

/* Groups of so many hexadecimal digits with a colon between them. */
static bool is_grouped(const char *text, size_t groups, size_t digits)
{
	size_t i, length = groups * (digits + 1) - 1;

	if (strlen(text) != length)
		return false;
	for (i = 0; i < length; i++)
		if (i % (digits + 1) == digits ? text[i] != ':' :
						 !isxdigit((unsigned char)text[i]))
			return false;
	return true;
}

/* 0x2000001122334455, naa.2000001122334455 or the digits: with colons. */
static void put_colons(const char *text, char wwn[WWN_MAX])
{
	size_t i, length = 0;

	text += !strncmp(text, "0x", 2) ? 2 : !strncmp(text, "naa.", 4) ? 4 : 0;
	if (!made_of(text, "", 16, 16))
		return;
	for (i = 0; i < 16; i++) {
		if (i && i % 2 == 0)
			wwn[length++] = ':';
		wwn[length++] = text[i];
	}
	wwn[length] = '\0';
}

static bool is_address(const char *text)
{
	unsigned char binary[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, text, binary) == 1 || inet_pton(AF_INET6, text, binary) == 1;
}

static bool is_guid(const char *text)
{
	return is_grouped(text, 4, 4) ||
	       (!strncmp(text, "0x", 2) && made_of(text + 2, "", 32, 32));
}

static bool is_kind(enum wwn_kind kind, const char *wwn, const char **why)
{
	switch (kind) {
	case WWN_IQN:
		*why = "iqn.YYYY-MM.DOMAIN:NAME, eui. and 16 digits, or naa. and 16 or 32";
		return is_iqn(wwn);
	case WWN_NAA:
		*why = "naa. and 16 hexadecimal digits";
		return is_naa(wwn) && strlen(wwn) == 20;
	case WWN_COLONS:
		*why = "xx:xx:xx:xx:xx:xx:xx:xx";
		return is_grouped(wwn, 8, 2);
	case WWN_GUID:
		*why = "xxxx:xxxx:xxxx:xxxx, or 0x and 32 hexadecimal digits";
		return is_guid(wwn);
	case WWN_GUID_OR_IP:
		*why = "an IP address, xxxx:xxxx:xxxx:xxxx, or 0x and 32 hexadecimal digits";
		return is_guid(wwn) || is_address(wwn);
	case WWN_EUI64:
		*why = "16 hexadecimal digits";
		return made_of(wwn, "", 16, 16);
	case WWN_NQN:
		*why = "nqn.YYYY-MM.DOMAIN:NAME";
		return is_dated(wwn, "nqn.");
	case WWN_NONE:
		break;
	}
	*why = "no name: this fabric has none there";
	return false;
}

bool wwn_parse(enum wwn_kind kind, const char *text, char wwn[WWN_MAX], const char **why)
{
	size_t i;

	*why = "a name of at most 223 characters";
	if (strlen(text) >= WWN_MAX || !configfs_name_valid(text))
		return false;
	snprintf(wwn, WWN_MAX, "%s", text);
	if (kind == WWN_COLONS)
		put_colons(text, wwn);
	/* NVMe's names are compared byte by byte, all others are digits or folded */
	for (i = 0; wwn[i] && kind != WWN_NQN; i++)
		wwn[i] = (char)tolower((unsigned char)wwn[i]);
	return is_kind(kind, wwn, why);
}

void random_bytes(void *to, size_t size)
{
	if (getrandom(to, size, 0) == (ssize_t)size)
		return;
	complain("the kernel has no random numbers");
	exit(EXIT_NO_SERVICE);
}

void uuid_make(char uuid[UUID_MAX])
{
	unsigned char b[16];

	random_bytes(b, sizeof(b));
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	snprintf(uuid, UUID_MAX,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		 b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		 b[15]);
}

bool uuid_valid(const char *text)
{
	size_t i;

	for (i = 0; i < UUID_MAX - 1; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? text[i] != '-' :
							      !isxdigit((unsigned char)text[i]))
			return false;
	return !text[i];
}

/* What the host is called, as far as it fits into a name. */
static void host_name(char host[64])
{
	size_t i, length = 0;

	if (gethostname(host, 63))
		*host = '\0';
	host[63] = '\0';
	for (i = 0; host[i] && host[i] != '.'; i++)
		if (isalnum((unsigned char)host[i]) || host[i] == '-')
			host[length++] = (char)tolower((unsigned char)host[i]);
	host[length] = '\0';
}

void wwn_make(enum wwn_kind kind, char wwn[WWN_MAX])
{
	unsigned char b[6];
	char uuid[UUID_MAX], host[64];

	random_bytes(b, sizeof(b));
	uuid_make(uuid);
	host_name(host);
	switch (kind) {
	case WWN_IQN:
		snprintf(wwn, WWN_MAX,
			 "iqn.2003-01.org.linux-iscsi.%s:larder.%02x%02x%02x%02x%02x%02x",
			 *host ? host : "host", b[0], b[1], b[2], b[3], b[4], b[5]);
		break;
	case WWN_NQN:
		snprintf(wwn, WWN_MAX, "nqn.2014-08.org.nvmexpress:uuid:%s", uuid);
		break;
	default:
		snprintf(wwn, WWN_MAX, "naa.5001405%02x%02x%02x%02x%x", b[0], b[1], b[2], b[3],
			 b[4] & 15);
	}
}

/* --- portals --- */

bool portal_parse(const char *text, unsigned int port, char portal[PORTAL_MAX])
{
	char address[PORTAL_MAX], binary[sizeof(struct in6_addr)], *end;
	const char *colon = strchr(text, ':'), *after = NULL;
	unsigned long number = port;
	bool bracket = *text == '[', ipv6;

	if (strlen(text) >= sizeof(address))
		return false;
	if (bracket)
		after = strchr(text, ']');
	else
		after = colon && strchr(colon + 1, ':') ? text + strlen(text) :
			colon ? colon : text + strlen(text);
	if (!after)
		return false;
	snprintf(address, sizeof(address), "%.*s", (int)(after - text - bracket), text + bracket);
	after += bracket;
	if (*after == ':' && isdigit((unsigned char)after[1])) {
		number = strtoul(after + 1, &end, 10);
		after = end;
	}
	ipv6 = inet_pton(AF_INET6, address, binary) == 1;
	if (*after || !number || number > 65535 || (bracket && !ipv6) ||
	    (!ipv6 && inet_pton(AF_INET, address, binary) != 1))
		return false;
	/* of two spellings of an address, the shortest */
	inet_ntop(ipv6 ? AF_INET6 : AF_INET, binary, address, sizeof(address));
	return snprintf(portal, PORTAL_MAX, ipv6 ? "[%s]:%lu" : "%s:%lu", address, number) <
	       PORTAL_MAX;
}

void portal_split(const char *portal, char address[PORTAL_MAX], char port[8], bool *ipv6)
{
	const char *colon = strrchr(portal, ':');

	*ipv6 = *portal == '[';
	snprintf(port, 8, "%.5s", colon ? colon + 1 : "");
	snprintf(address, PORTAL_MAX, "%.*s",
		 (int)((colon ? colon - portal : (long)strlen(portal)) - 2 * *ipv6),
		 portal + *ipv6);
}
