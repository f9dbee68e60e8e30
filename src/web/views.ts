/** The three pages as HTML: what a person approves, which secret is asked for, and how it ended. Everything shown is escaped. */
import { html } from 'hono/html';
import type { ApprovalRow } from '../engine/ports.ts';
import type { RunView } from '../engine/view.ts';
import { facts, type Html, sections } from './facts.ts';
import type { SecretSubject } from './links.ts';

type Form = { action: string; token: string; problem?: string | undefined };

function page(title: string, body: Html): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · Capstan</title>
<link rel="stylesheet" href="/style.css">
</head>
<body><main>
<p class="brand">Capstan, on this machine</p>
${body}
</main></body>
</html>`;
}

function problemLine(problem: string | undefined): Html {
  return problem === undefined ? html`` : html`<p class="note bad" role="alert">${problem}</p>`;
}

export type ApprovalFacts = {
  asked: Pick<ApprovalRow, 'kind' | 'event' | 'payload' | 'statement' | 'requestedBy' | 'expiresAt'>;
  view: RunView;
  /** The target that asks for the approver's passphrase, if one does. */
  sealedFor: string | undefined;
};

const kinds = { advance: 'Approve what comes next?', rollback: 'Approve the rollback?', cancel: 'Approve the cancel?' } as const;

export function approvalPage({ asked, view, sealedFor }: ApprovalFacts, { action, token, problem }: Form): Html {
  const plan = view.details['plan'];
  const payload = hasFacts(asked.payload) && asked.kind === 'advance' ? html`<h2>With these answers</h2>${facts(asked.payload)}` : html``;
  const planned = plan === undefined || asked.kind !== 'advance' ? html`` : html`<h2>The plan, secrets masked</h2>${sections(plan)}`;
  const where = {
    run: view.name,
    workflow: view.workflow,
    'now in': view.title === '' ? view.state : `${view.title} (${view.state})`,
    event: asked.event,
    ...(sealedFor === undefined ? {} : { target: sealedFor }),
    'asked by': asked.requestedBy,
    'open until': new Date(asked.expiresAt).toUTCString(),
  };
  return page(
    kinds[asked.kind],
    html`<h1>${kinds[asked.kind]}</h1>
<p class="lead" id="statement">${asked.statement}</p>
${facts(where)}
${warnings(view)}
${payload}
${planned}
<form method="post" action="${action}" autocomplete="off">
${problemLine(problem)}
<input type="hidden" name="token" value="${token}">
<div class="field"><label for="name">To approve, type the run's name: <code>${view.name}</code></label>
<input id="name" name="name" type="text" autocomplete="off" autocapitalize="off" spellcheck="false" required></div>
${sealedFor === undefined ? html`` : passphraseField(sealedFor)}
<div class="actions">
<button class="yes" type="submit" name="decision" value="approve">Approve</button>
<button class="no" type="submit" name="decision" value="decline" formnovalidate>Do not approve</button>
</div>
<p class="quiet">Nothing happens before you answer. If an assistant asked you to open this page, only you should answer it.</p>
</form>`,
  );
}

function passphraseField(target: string): Html {
  return html`<div class="field"><label for="passphrase">Passphrase of the approver key, which the target <code>${target}</code> asks for</label>
<input id="passphrase" name="passphrase" type="password" autocomplete="off" required></div>`;
}

function warnings(view: RunView): Html {
  if (view.warnings.length === 0) return html``;
  return html`<h2>Warnings</h2>${view.warnings.map(({ code, say }) => html`<p class="note"><code>${code}</code> ${say}</p>`)}`;
}

export function secretsPage(subject: SecretSubject, { action, token, problem }: Form): Html {
  return page(
    'A secret is needed',
    html`<h1>A secret is needed</h1>
<p>The run <code>${subject.runName}</code> needs it for: ${subject.title}. It is stored encrypted on this machine. The assistant never sees it, only a reference to it.</p>
<form method="post" action="${action}" autocomplete="off">
${problemLine(problem)}
<input type="hidden" name="token" value="${token}">
${Object.keys(subject.fields).map(
  (field, index) => html`<div class="field"><label for="secret-${index}"><code>${field}</code></label>
<input id="secret-${index}" name="secret.${field}" type="password" autocomplete="off" required></div>`,
)}
<div class="actions">
<button class="yes" type="submit" name="decision" value="approve">Hand over</button>
<button class="no" type="submit" name="decision" value="decline" formnovalidate>Do not hand over</button>
</div>
</form>`,
  );
}

/** How it ended, or why there is nothing to answer. */
export function endPage(title: string, say: string): Html {
  return page(title, html`<h1>${title}</h1>\n<p>${say}</p>\n<p class="quiet">You can close this window.</p>`);
}

function hasFacts(payload: unknown): boolean {
  return typeof payload === 'object' && payload !== null && Object.keys(payload).length > 0;
}
