// SPDX-License-Identifier: GPL-2.0-only
// How the page of `criu inspect --html` looks: light and dark, on a phone and on paper.

/** Colours of the kinds of memory; each can be told from its neighbours in both schemes, and by its pattern on paper. */
export const KIND_COLOURS = {
	code: "#2f6fdf",
	file: "#7ba7f0",
	data: "#12908a",
	heap: "#d97a06",
	stack: "#c2397a",
	anonymous: "#e0a92e",
	shared: "#8154d1",
	kernel: "#8b93a1",
	reserved: "#c9ced6",
} as const;

/** The whole style sheet. */
export const STYLE = `
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f27;--dim:#596273;--line:#dfe3ea;--soft:#f4f6f9;--good:#11713f;--bad:#b3261e;--bar:#2f6fdf}
@media (prefers-color-scheme:dark){:root{--bg:#14171c;--fg:#e5e9f0;--dim:#9aa4b5;--line:#2d333d;--soft:#1c2027;--good:#57c98a;--bad:#ff8a80;--bar:#7ba7f0}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem 1rem 3rem;max-width:72rem;background:var(--bg);color:var(--fg);font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .25rem}
h2{font-size:1.2rem;margin:2.2rem 0 .6rem;padding-top:.6rem;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:1.2rem 0 .3rem}
p{margin:.3rem 0}
.dim{color:var(--dim)}
code,.m{font:.86em/1.45 ui-monospace,Menlo,Consolas,monospace}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.6rem;margin:1rem 0}
.facts div{background:var(--soft);border-radius:.5rem;padding:.6rem .8rem}
.facts b{display:block;font-size:1.25rem}
.facts span{color:var(--dim);font-size:.85rem}
.verdict{border-left:.3rem solid;padding:.4rem .8rem;background:var(--soft);border-radius:0 .4rem .4rem 0;margin:.6rem 0}
.yes{border-color:var(--good)}.no{border-color:var(--bad)}
.yes b{color:var(--good)}.no b{color:var(--bad)}
ul{margin:.3rem 0;padding-left:1.2rem}
.scroll{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th{text-align:left;font-weight:600;color:var(--dim);border-bottom:2px solid var(--line);white-space:nowrap}
td,th{padding:.25rem .7rem .25rem 0;vertical-align:top}
td{border-bottom:1px solid var(--line)}
td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
td.w{white-space:nowrap}
.facts-of th{white-space:normal;width:11rem;border-bottom:1px solid var(--line)}
a{color:var(--bar)}
.tree{white-space:pre;color:var(--dim)}
details{margin:.4rem 0}
summary{cursor:pointer;font-weight:600;padding:.3rem 0}
.map{display:block;width:100%;height:3.2rem;border:1px solid var(--line);border-radius:.3rem;background:var(--soft)}
.ruler{display:flex;justify-content:space-between;font-size:.78rem;color:var(--dim)}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1rem;font-size:.85rem;margin:.4rem 0;padding:0;list-style:none}
.legend i,.k{display:inline-block;width:.8em;height:.8em;border-radius:.15em;margin-right:.4em;vertical-align:-.05em}
.time{display:grid;grid-template-columns:max-content 1fr max-content;gap:.2rem .7rem;align-items:center;font-size:.9rem}
.time i{display:block;height:.9rem;background:var(--bar);border-radius:.2rem;min-width:1px}
${Object.entries(KIND_COLOURS)
	.map(([kind, colour]) => `.k-${kind}{fill:${colour};background:${colour}}`)
	.join("")}
.gap{fill:none;stroke:var(--dim);stroke-width:1;stroke-dasharray:2 3}
.held{fill:#000;opacity:.38}
@media (max-width:40rem){body{padding:1rem .75rem 2rem}h1{font-size:1.3rem}
table.cards thead{display:none}
table.cards tr{display:block;border-bottom:1px solid var(--line);padding:.4rem 0}
table.cards td{display:flex;gap:.6rem;border:0;padding:.08rem 0;text-align:left;white-space:normal}
table.cards td::before{content:attr(data-h);flex:0 0 6.2rem;color:var(--dim);font-size:.85rem}
table.cards td:empty{display:none}
.tree{display:none}}
@media print{:root{color-scheme:light;--bg:#fff;--fg:#000;--dim:#444;--line:#bbb;--soft:#f4f4f4;--good:#000;--bad:#000;--bar:#555}
body{max-width:none;padding:0;font-size:10pt}
h2{break-after:avoid}h3,summary{break-after:avoid}tr,.mapbox,.facts div{break-inside:avoid}
details::details-content{content-visibility:visible;display:block;height:auto}
.map,.k,.legend i,.time i,.facts div{print-color-adjust:exact;-webkit-print-color-adjust:exact}
.held{fill:#000;opacity:.38}.scroll{overflow:visible}}
`;
