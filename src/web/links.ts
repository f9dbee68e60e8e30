/**
 * The links of the page. Pure but for the random ids. Invariants:
 * 1. A link has 192 random bits and names nothing; what it stands for never leaves this process.
 * 2. It is used once: while one answer is being carried out every other is refused, and after it the link is dead.
 * 3. Five wrong answers kill the subject, not only the link: a new link for it is refused.
 */
import { randomBytes } from 'node:crypto';

export type ApprovalSubject = { kind: 'approval'; id: string; runId: string; expiresAt: number };
export type SecretSubject = {
  kind: 'secrets';
  id: string;
  runId: string;
  runName: string;
  title: string;
  /** Field to the secret id under which it will be kept. */
  fields: Readonly<Record<string, string>>;
  expiresAt: number;
};
export type Subject = ApprovalSubject | SecretSubject;

export type Link = {
  token: string;
  subject: Subject;
  state: 'open' | 'deciding' | 'used';
};

export const maxWrong = 5;

export type Links = {
  /** The open link of a subject, or a new one; undefined once too many wrong answers were given. */
  mint(subject: Subject): Link | undefined;
  /** An unused link that has not expired. */
  find(token: string): Link | undefined;
  /** False when somebody else is deciding or has decided. */
  begin(link: Link): boolean;
  /** The answer was wrong: open again, or dead after too many. Returns how many are left. */
  wrong(link: Link): number;
  used(link: Link): void;
  /** How many links can still be used. */
  open(): number;
};

export function createLinks(now: () => number): Links {
  const links = new Map<string, Link>();
  const wrongs = new Map<string, number>();
  const drop = () => {
    for (const [token, link] of links) if (link.subject.expiresAt <= now()) links.delete(token);
  };
  return {
    mint(subject) {
      drop();
      if ((wrongs.get(subject.id) ?? 0) >= maxWrong) return undefined;
      const known = [...links.values()].find((link) => link.subject.id === subject.id && link.state !== 'used');
      if (known) return known;
      const link: Link = { token: randomBytes(24).toString('base64url'), subject, state: 'open' };
      links.set(link.token, link);
      return link;
    },
    find(token) {
      drop();
      const link = links.get(token);
      return link?.state === 'used' ? undefined : link;
    },
    begin(link) {
      if (link.state !== 'open') return false;
      link.state = 'deciding';
      return true;
    },
    wrong(link) {
      const count = (wrongs.get(link.subject.id) ?? 0) + 1;
      wrongs.set(link.subject.id, count);
      link.state = count >= maxWrong ? 'used' : 'open';
      return Math.max(0, maxWrong - count);
    },
    used(link) {
      link.state = 'used';
    },
    open() {
      drop();
      return [...links.values()].filter((link) => link.state !== 'used').length;
    },
  };
}
