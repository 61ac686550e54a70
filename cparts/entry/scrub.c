/* SPDX-License-Identifier: GPL-2.0-only */
/* Takes out of the environment every variable that would steer the JavaScript runtime instead of criu, before the
 * runtime looks. Only pointers are dropped: /proc/self/environ keeps the full text, and dropped ones can be read there. */

#define NAME(text) { sizeof(text) - 1, text }

/* Letters in upper case; compared without regard to case, as mimalloc does. '=' ends a full name, else it's a prefix.
 * Found by watching getenv and by reading the strings of the runtime (test/build/environment.test.ts does it again). */
static const struct {
	unsigned char len;
	char text[23];
} hidden[] = {
	NAME("BUN_"),
	NAME("NODE_"),
	NAME("JSC_"),
	NAME("JSCTEST_"),
	NAME("JAVASCRIPTCORE"),
	NAME("WTF_"),
	NAME("WEBKIT"),
	NAME("GIGACAGE"),
	NAME("PAS_"),
	NAME("MALLOC="),
	NAME("MALLOCCHECKHEAP"),
	NAME("MALLOCCORRUPTION"),
	NAME("MALLOCDONOTPROTECT"),
	NAME("MALLOCERROR"),
	NAME("MALLOCGUARD"),
	NAME("MALLOCHELP"),
	NAME("MALLOCLOG"),
	NAME("MALLOCSCRIBBLE"),
	NAME("MALLOCSTACKLOGGING"),
	NAME("MIMALLOC_"),
	NAME("ICU_"),
	NAME("UV_"),
	NAME("OPENSSL_"),
	NAME("SSLKEYLOGFILE="),
	NAME("SIMDUTF_"),
	NAME("GLIBCXX_"),
	NAME("DYLD_"),
	NAME("GOMAXPROCS="),
	NAME("HYPERFINE_RANDOMIZED_"),
};

static int starts_with(const char *s, const char *prefix, unsigned len)
{
	for (unsigned i = 0; i < len; i++) {
		char c = s[i];

		if (c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		if (c != prefix[i])
			return 0;
	}
	return 1;
}

static int is_hidden(const char *variable)
{
	for (unsigned i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		if (starts_with(variable, hidden[i].text, hidden[i].len))
			return 1;
	return 0;
}

/* The auxiliary vector behind the list stays where it is (ld.so has taken its address): the list ends earlier. */
void cr_entry_scrub(char **stack);
void cr_entry_scrub(char **stack)
{
	char **from = stack + 1 + *(long *)stack + 1;
	char **to = from;

	for (; *from; from++)
		if (!is_hidden(*from))
			*to++ = *from;
	for (; to < from; to++)
		*to = (char *)0;
}
