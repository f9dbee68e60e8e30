/**
 * The page's routes over its links. Invariants:
 * 1. A request passes the guard before anything is looked up, and every answer carries the guard's headers.
 * 2. A form counts only from the browser that looked at the link (a cookie of this link alone) and with the token made for it.
 * 3. A person's yes is the engine's `approve`, with level `page`, or `sealed` where a passphrase opened the approver key.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { getCookie, setCookie } from 'hono/cookie';
import type { Seal } from '../engine/approver-port.ts';
import type { Engine } from '../engine/engine.ts';
import { AppError } from '../errors.ts';
import type { Html } from './facts.ts';
import { headers, refusal } from './guard.ts';
import type { ApprovalSubject, Link, Links, SecretSubject } from './links.ts';
import { style } from './style.ts';
import { type ApprovalFacts, approvalPage, endPage, secretsPage } from './views.ts';

export type RouteDeps = {
  engine: Pick<Engine, 'inspect' | 'pendingApprovals' | 'approve' | 'decline' | 'sealedTarget'>;
  unlock: (passphrase: string, runId: string) => Promise<Seal>;
  /** Keeps what was typed under the ids that were promised. */
  keepSecrets: (subject: SecretSubject, values: Record<string, string>) => Promise<void>;
  /** Known secrets hidden and hidden characters spelled out in everything that is shown. */
  clean: <T>(value: T) => T;
  /** Who answers: the owner of this process. */
  principal: string;
  logError: (error: unknown) => void;
  links: Links;
  /** `127.0.0.1:PORT`, known once the server listens. */
  host: () => string;
  /** After a link was used up. */
  onUsed: (link: Link, outcome: 'done' | 'declined') => void;
};

const maxBody = 16 * 1024;
const longestSecret = 4_096;
const cookie = 'capstan_page';

export function createRoutes(deps: RouteDeps): Hono {
  const app = new Hono();
  app.use(async (c, next) => {
    for (const [name, value] of Object.entries(headers)) c.header(name, value);
    const why = refusal({ method: c.req.method, header: (name) => c.req.header(name) }, deps.host());
    if (why !== undefined) return c.html(endPage('Not answered', why), 403);
    return next();
  });
  app.use(bodyLimit({ maxSize: maxBody, onError: (c) => c.html(endPage('Too much', 'The form was larger than it can be.'), 413) }));
  app.get('/style.css', (c) => c.body(style, 200, { 'content-type': 'text/css; charset=utf-8' }));
  app.get('/:link', (c) => look(deps, c));
  app.post('/:link', (c) => answer(deps, c));
  app.notFound((c) => c.html(gone, 404));
  app.onError((error, c) => {
    deps.logError(error);
    return c.html(endPage('Something failed', 'Something failed inside Capstan; nothing was approved. Its log says more.'), 500);
  });
  return app;
}

const gone = endPage(
  'Nothing to answer here',
  'This link was used already, has expired, or never was one. Ask the assistant to look at the run again.',
);

async function look(deps: RouteDeps, c: Context): Promise<Response> {
  const link = deps.links.find(c.req.param('link') ?? '');
  if (!link) return c.html(gone, 404);
  return form(deps, c, link);
}

async function form(deps: RouteDeps, c: Context, link: Link, problem?: string): Promise<Response> {
  const visitor = getCookie(c, cookie) ?? randomBytes(24).toString('base64url');
  setCookie(c, cookie, visitor, { path: `/${link.token}`, httpOnly: true, sameSite: 'Strict' });
  const shape = { action: `/${link.token}`, token: formToken(link, visitor), problem };
  const code = problem === undefined ? 200 : 422;
  const { subject } = link;
  if (subject.kind === 'secrets') return c.html(secretsPage(deps.clean(subject), shape), code);
  const shown = await approvalFacts(deps, subject);
  if (!shown) {
    deps.links.used(link);
    return c.html(stale(), 410);
  }
  return c.html(approvalPage(deps.clean(shown), shape), code);
}

async function approvalFacts({ engine }: RouteDeps, subject: ApprovalSubject): Promise<ApprovalFacts | undefined> {
  const asked = (await engine.pendingApprovals(subject.runId)).find((row) => row.id === subject.id);
  if (!asked) return undefined;
  return { asked, view: await engine.inspect(subject.runId), sealedFor: await engine.sealedTarget(subject.runId) };
}

async function answer(deps: RouteDeps, c: Context): Promise<Response> {
  const link = deps.links.find(c.req.param('link') ?? '');
  if (!link) return c.html(gone, 404);
  const body = await c.req.parseBody();
  const field = (name: string): string => (typeof body[name] === 'string' ? body[name] : '');
  if (!isVisitor(link, getCookie(c, cookie), field('token')))
    return c.html(
      endPage('Not answered', 'The form did not come from the window that this link was opened in. Open the link again there.'),
      403,
    );
  if (!deps.links.begin(link)) return c.html(endPage('Already answered', 'An answer to this is being carried out.'), 409);
  try {
    const { subject } = link;
    if (subject.kind === 'secrets') return await takeSecrets(deps, c, link, subject, field);
    return await decide(deps, c, link, subject, field);
  } finally {
    if (link.state === 'deciding') link.state = 'open'; // nothing was decided: the person may answer again
  }
}

async function decide(
  deps: RouteDeps,
  c: Context,
  link: Link,
  subject: ApprovalSubject,
  field: (name: string) => string,
): Promise<Response> {
  const { engine, principal } = deps;
  const by = { principal, door: 'page' };
  const shown = await approvalFacts(deps, subject);
  if (!shown) return ended(deps, c, link, 'declined', stale(), 410);
  const name = shown.view.name;
  if (field('decision') !== 'approve') {
    await engine.decline(subject.id, { ...by, level: 'page' });
    return ended(
      deps,
      c,
      link,
      'declined',
      endPage('Not approved', `Nothing was changed; the run ${name} waits. Tell the assistant what to do instead.`),
    );
  }
  if (field('name').trim() !== name) return wrong(deps, c, link, `That is not the name of the run: type ${name}. Nothing was approved.`);
  try {
    if (shown.sealedFor === undefined) await engine.approve(subject.id, { ...by, level: 'page' });
    else await engine.approve(subject.id, { ...by, level: 'sealed', seal: await deps.unlock(field('passphrase'), subject.runId) });
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    if (error.code === 'PASSPHRASE_WRONG') return wrong(deps, c, link, `${error.message} Nothing was approved.`);
    return ended(deps, c, link, 'declined', endPage('Not approved', `${error.message} ${error.fix ?? ''}`), 409);
  }
  return ended(deps, c, link, 'done', endPage('Approved', `The run ${name} goes on. Tell the assistant so.`));
}

async function takeSecrets(
  deps: RouteDeps,
  c: Context,
  link: Link,
  subject: SecretSubject,
  field: (name: string) => string,
): Promise<Response> {
  if (field('decision') !== 'approve')
    return ended(deps, c, link, 'declined', endPage('Nothing was handed over', 'Tell the assistant what to do instead.'));
  const values = Object.fromEntries(Object.keys(subject.fields).map((name) => [name, field(`secret.${name}`)]));
  const bad = Object.entries(values).find(([, value]) => value === '' || value.length > longestSecret);
  if (bad) return form(deps, c, link, `${bad[0]} is empty or longer than ${longestSecret} characters.`);
  await deps.keepSecrets(subject, values);
  return ended(deps, c, link, 'done', endPage('Handed over', 'It is stored encrypted on this machine. Tell the assistant to go on.'));
}

function wrong(deps: RouteDeps, c: Context, link: Link, problem: string): Promise<Response> | Response {
  if (deps.links.wrong(link) > 0) return form(deps, c, link, problem);
  return c.html(
    endPage(
      'Too many wrong answers',
      'This page no longer takes an answer. Approve at a terminal: capstan approve, with the name of the run.',
    ),
    429,
  );
}

function ended(
  { links, onUsed }: RouteDeps,
  c: Context,
  link: Link,
  outcome: 'done' | 'declined',
  page: Html,
  code: 200 | 409 | 410 = 200,
): Response | Promise<Response> {
  links.used(link);
  onUsed(link, outcome);
  return c.html(page, code);
}

function stale(): Html {
  return endPage('No longer open', 'The run has moved on, or this was answered elsewhere. Ask the assistant to look at the run again.');
}

/** Bound to the browser that the form was shown in: worth nothing with another cookie. */
function formToken(link: Link, visitor: string): string {
  return createHmac('sha256', link.token).update(visitor).digest('base64url');
}

function isVisitor(link: Link, visitor: string | undefined, token: string): boolean {
  return visitor !== undefined && same(token, formToken(link, visitor));
}

function same(a: string, b: string): boolean {
  const [x, y] = [Buffer.from(a), Buffer.from(b)];
  return x.length === y.length && timingSafeEqual(x, y);
}
