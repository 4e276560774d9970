// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The texts that LIO writes below its dbroot.  They are judged before they go
 * back: a file may have been damaged, and the kernel takes what it is given.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "restore-state.h"

/* What the kernel writes; anything else is not its. */
static const char *const aptpl_keys[] = {
	"initiator_fabric", "initiator_node", "initiator_sid", "sa_res_key", "res_holder",
	"res_type", "res_scope", "res_all_tg_pt", "mapped_lun", "target_fabric", "target_node",
	"tpgt", "port_rtpi", "target_lun",
};

static bool known_line(const char *line, size_t length)
{
	size_t i, key = strcspn(line, "=\n");

	if (key >= length)
		return false;
	for (i = key + 1; i < length; i++)
		if (!isgraph((unsigned char)line[i]) || line[i] == ',')
			return false;
	for (i = 0; i < sizeof(aptpl_keys) / sizeof(aptpl_keys[0]); i++)
		if (strlen(aptpl_keys[i]) == key && !strncmp(line, aptpl_keys[i], key))
			return true;
	return false;
}

struct registration {
	char text[CONFIGFS_VALUE_MAX];
	size_t length;
	bool open;
};

/* NULL, or what is wrong with it. */
static const char *take_line(struct registration *r, const char *line, size_t length)
{
	if (!r->open)
		return "it has something outside of registrations";
	if (!known_line(line, length))
		return "it has a line that the kernel does not write";
	if (r->length + length + 2 > sizeof(r->text))
		return "a registration is too long";
	if (r->length)
		r->text[r->length++] = ',';
	memcpy(r->text + r->length, line, length);
	r->length += length;
	r->text[r->length] = '\0';
	return NULL;
}

int aptpl_parse(const char *text, int (*take)(void *context, const char *registration),
		void *context, const char **why)
{
	static const char begin[] = "PR_REG_START:", end[] = "PR_REG_END:";
	struct registration r = { .open = false };
	size_t length;
	int code;

	*why = NULL;
	if (!strncmp(text, "No Registrations", 16))
		return 0;
	for (; *text; text += length + (text[length] == '\n')) {
		length = strcspn(text, "\n");
		if (!strncmp(text, begin, sizeof(begin) - 1)) {
			if (r.open)
				break;
			memset(&r, 0, sizeof(r));
			r.open = true;
		} else if (!strncmp(text, end, sizeof(end) - 1)) {
			if (!r.open || !r.length)
				break;
			r.open = false;
			code = take(context, r.text);
			if (code)
				return code;
		} else if (length) {
			*why = take_line(&r, text, length);
			if (*why)
				return -1;
		}
	}
	if (!*text && !r.open)
		return 0;
	*why = "a registration has no end";
	return -1;
}

static bool hex_after(const char *text, const char *key, unsigned int *number)
{
	const char *at = strstr(text, key);
	unsigned long value;
	char *end;

	if (!at || (at != text && at[-1] != '\n') || at[strlen(key)] != '0')
		return false;
	value = strtoul(at + strlen(key), &end, 16);
	*number = (unsigned int)value;
	return (*end == '\n' || !*end) && value <= 0xff;
}

bool alua_parse(const char *text, unsigned int *state, unsigned int *status)
{
	return hex_after(text, "alua_access_state=", state) &&
	       hex_after(text, "alua_access_status=", status);
}
