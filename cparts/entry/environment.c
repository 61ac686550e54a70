/* SPDX-License-Identifier: GPL-2.0-only */
/* Takes out of the environment every variable that would steer the JavaScript runtime instead of criu, and adds our own
 * settings of it, before the runtime looks. Only pointers are moved: /proc/self/environ keeps the full text. */

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

/* What the runtime finds instead: set for a program of a few ten milliseconds and a few megabytes of JavaScript heap.
 * Compiling code that runs for an instant costs more than it saves, and so do helper threads for collecting garbage;
 * code of long runs still gets compiled. Huge pages spare two thirds of the page faults; memory that was freed stays
 * ours, as giving it back takes huge pages apart and costs as many faults anew: half the time of 200 processes. */
static const char settings[][56] = {
	"BUN_JSC_thresholdForJITAfterWarmUp=5000",
	"BUN_JSC_thresholdForJITSoon=1000",
	"BUN_JSC_thresholdForOptimizeAfterWarmUp=5000",
	"BUN_JSC_thresholdForOptimizeAfterLongWarmUp=5000",
	"BUN_JSC_thresholdForOptimizeSoon=5000",
	"BUN_JSC_useConcurrentGC=0",
	"BUN_JSC_numberOfGCMarkers=1",
	"MIMALLOC_ALLOW_THP=1",
	"MIMALLOC_PURGE_DELAY=-1",
};
#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

/* Words from argc to the end of the auxiliary vector, in the kernel's layout (fs/binfmt_elf.c). */
static unsigned long count_words(char **stack)
{
	char **at = stack + 1 + *(long *)stack + 1;

	while (*at)
		at++;
	for (at++; *at; at += 2)
		;
	return (unsigned long)(at + 2 - stack);
}

/* Room for a longer list, in bytes; a multiple of 16, as the stack must stay aligned. */
unsigned long cr_entry_room(char **stack);
unsigned long cr_entry_room(char **stack)
{
	return (count_words(stack) * sizeof(char *) + SETTINGS * sizeof(char *) + 15) & ~15UL;
}

/* Writes the words at `stack` again at `lower`, with the list of variables changed; ld.so keeps its pointers into the old
 * ones. `environ` is the variable of libc, which has been set by now. */
void cr_entry_move(char **stack, char **lower, char ***environ);
void cr_entry_move(char **stack, char **lower, char ***environ)
{
	char **from = stack;
	char **to = lower;

	for (long i = 1 + *(long *)stack + 1; i > 0; i--)
		*to++ = *from++;
	*environ = to;
	for (; *from; from++)
		if (!is_hidden(*from))
			*to++ = *from;
	for (unsigned i = 0; i < SETTINGS; i++)
		*to++ = (char *)settings[i];
	*to++ = (char *)0;
	for (from++; *from; from += 2) {
		*to++ = from[0];
		*to++ = from[1];
	}
	*to++ = (char *)0;
	*to++ = (char *)0;
}
