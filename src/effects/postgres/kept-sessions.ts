/**
 * Sessions that stay open for a few idle seconds, so that the next question needs no login. Invariants:
 * 1. A session is given again only for the same target, the same use and the same way there; when an address or a secret of a target has
 *    changed, its older sessions are closed at the next question.
 * 2. Between two uses the server's session is emptied and asked what is left (`SqlSession.keep`); one that is not as after its login is closed.
 * 3. A session in whose use anything failed is closed. One question has it at a time.
 * 4. Their number, idle time and age have bounds, and none of them keeps the process alive.
 */
import type { SqlSession } from './session.ts';

export type SessionPlace = {
  target: string;
  /** Whatever makes one session unfit for another question: purpose, rung, database. */
  use: string;
  /** Digest of every address and secret that leads there. */
  way: string;
};

export type KeptSessions = {
  /** Whoever takes it closes it, which gives it back. `open` is asked where none is kept. */
  take(place: SessionPlace, open: () => Promise<SqlSession>): Promise<SqlSession>;
  /** Ends all of them; those in use end when they are given back. */
  close(): Promise<void>;
};

export type KeptLimits = {
  /** Over all targets. Default 4. */
  most?: number;
  /** Default 10 s. */
  idleMs?: number;
  /** From the login on; after it the ladder is climbed anew. Default 60 s. */
  ageMs?: number;
  now: () => number;
};

type Idle = { place: SessionPlace; session: SqlSession; bornAt: number; timer: NodeJS.Timeout };

export function createKeptSessions({ most = 4, idleMs = 10_000, ageMs = 60_000, now }: KeptLimits): KeptSessions {
  const idle = new Set<Idle>();
  /** Those that are being emptied. */
  const resting = new Map<Promise<void>, SessionPlace>();
  let closed = false;

  async function drop(kept: Idle): Promise<void> {
    idle.delete(kept);
    clearTimeout(kept.timer);
    await kept.session.close();
  }

  async function rest(place: SessionPlace, session: SqlSession, bornAt: number): Promise<void> {
    const clean = await session.keep?.rest().catch(() => false);
    const another = [...idle].some((kept) => same(kept.place, place));
    if (clean !== true || closed || another || now() - bornAt >= ageMs) return session.close();
    const kept: Idle = { place, session, bornAt, timer: setTimeout(() => void drop(kept), idleMs).unref() };
    idle.add(kept);
    const [eldest] = idle;
    if (idle.size > most && eldest !== undefined) await drop(eldest);
  }

  function lend(place: SessionPlace, session: SqlSession, bornAt: number): SqlSession {
    let failed = false;
    let given = false;
    const fail = (error: unknown): never => {
      failed = true;
      throw error;
    };
    const { pages } = session;
    return {
      ...session,
      query: (text, values, options) => session.query<never>(text, values, options).catch(fail),
      ...(pages === undefined
        ? {}
        : {
            async *pages(text, values, options) {
              try {
                yield* pages<never>(text, values, options);
              } catch (error) {
                fail(error);
              }
            },
          }),
      async close() {
        if (given) return;
        given = true;
        if (failed || closed || session.keep === undefined) return session.close();
        const done = rest(place, session, bornAt).finally(() => resting.delete(done));
        resting.set(done, place);
      },
    };
  }

  return {
    async take(place, open) {
      await Promise.all([...resting].filter(([, { target }]) => target === place.target).map(([done]) => done));
      for (const kept of idle) if (kept.place.target === place.target && kept.place.way !== place.way) await drop(kept);
      const found = [...idle].find((kept) => same(kept.place, place));
      if (found === undefined) return lend(place, await open(), now());
      idle.delete(found);
      clearTimeout(found.timer);
      if (found.session.keep?.wake() === true && now() - found.bornAt < ageMs) return lend(place, found.session, found.bornAt);
      await found.session.close();
      return lend(place, await open(), now());
    },
    async close() {
      closed = true;
      await Promise.all([...[...idle].map(drop), ...resting.keys()]);
    },
  };
}

function same(one: SessionPlace, other: SessionPlace): boolean {
  return one.target === other.target && one.use === other.use && one.way === other.way;
}
