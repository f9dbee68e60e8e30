/** The one style sheet of the page: calm, readable, light and dark by the system's choice; nothing is loaded from elsewhere. */
export const style = `
:root { color-scheme: light dark; --ink: #1d2430; --quiet: #5b6675; --line: #dfe4ea; --paper: #ffffff; --back: #f3f5f8; --code: #eef1f5; --yes: #1f7a5a; --yes-ink: #ffffff; --warn: #8a4b00; --warn-back: #fff6e5; --bad: #a3262a; --bad-back: #fdeeee; --ring: #2b6cb0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --quiet: #9aa7b6; --line: #2f3845; --paper: #1a2029; --back: #12161c; --code: #242c37; --yes: #3aa57d; --yes-ink: #0b1712; --warn: #f0c078; --warn-back: #33280f; --bad: #f29a9c; --bad-back: #3a1c1d; --ring: #7fb2e5; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 3rem 1.25rem; background: var(--back); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 50rem; margin: 0 auto; background: var(--paper); border: 1px solid var(--line); border-radius: 14px; padding: 2.25rem 2.5rem 2.5rem; }
.brand { margin: 0 0 1.5rem; color: var(--quiet); font-size: .8125rem; letter-spacing: .08em; text-transform: uppercase; }
h1 { margin: 0 0 .75rem; font-size: 1.625rem; line-height: 1.25; font-weight: 650; text-wrap: balance; }
h2 { margin: 2rem 0 .5rem; font-size: 1rem; font-weight: 650; }
h3 { margin: 1.5rem 0 .5rem; font-size: .9375rem; font-weight: 650; color: var(--quiet); }
h3::first-letter, dt::first-letter, th::first-letter { text-transform: uppercase; }
p { margin: 0 0 1rem; }
.lead { font-size: 1.0625rem; padding: 1rem 1.25rem; border-left: 4px solid var(--yes); background: var(--code); border-radius: 0 8px 8px 0; overflow-wrap: anywhere; }
.quiet { color: var(--quiet); font-size: .9375rem; }
.note { padding: .75rem 1rem; border-radius: 8px; background: var(--warn-back); color: var(--warn); }
.bad { background: var(--bad-back); color: var(--bad); }
dl { margin: 0; }
dl > div { display: grid; grid-template-columns: 9.5rem 1fr; gap: .25rem 1rem; padding: .4rem 0; border-top: 1px solid var(--line); }
dl > div:first-child { border-top: 0; }
dt { color: var(--quiet); font-size: .9375rem; }
dd { margin: 0; overflow-wrap: anywhere; }
dd dl > div { grid-template-columns: 8rem 1fr; }
ul { margin: 0; padding-left: 1.15rem; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: collapse; width: 100%; font-size: .9375rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .75rem; border-top: 1px solid var(--line); overflow-wrap: break-word; }
td:last-child { overflow-wrap: anywhere; }
thead th { border-top: 0; color: var(--quiet); font-weight: 600; background: var(--code); }
.card { border: 1px solid var(--line); border-radius: 8px; padding: .35rem .9rem; margin-bottom: .6rem; font-size: .9375rem; }
.card dl > div { padding: .2rem 0; border-top: 0; grid-template-columns: 7rem 1fr; }
td:first-child { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .875rem; }
code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-size: .9em; background: var(--code); padding: .1em .35em; border-radius: 5px; overflow-wrap: anywhere; }
form { margin-top: 2rem; padding-top: 1.5rem; border-top: 1px solid var(--line); }
label { display: block; font-weight: 600; margin-bottom: .4rem; }
.field { margin-bottom: 1.25rem; }
input { width: 100%; font: inherit; color: inherit; background: var(--back); border: 1px solid var(--line); border-radius: 8px; padding: .65rem .8rem; }
input:focus-visible, button:focus-visible { outline: 3px solid var(--ring); outline-offset: 2px; }
.actions { display: flex; gap: .75rem; flex-wrap: wrap; margin-top: 1.5rem; }
button { font: inherit; font-weight: 600; border-radius: 8px; padding: .65rem 1.35rem; cursor: pointer; border: 1px solid transparent; }
.yes { background: var(--yes); color: var(--yes-ink); }
.no { background: transparent; color: inherit; border-color: var(--line); }
@media (max-width: 36rem) { body { padding: 0; } main { border: 0; border-radius: 0; padding: 1.5rem 1.25rem 2rem; min-height: 100vh; } dl > div, dd dl > div { grid-template-columns: 1fr; gap: 0; } .actions button { flex: 1 1 100%; } }
`;
