import { describe, expect, it } from 'vitest';
import { createLimiter, createLimiters, takeToken } from '../../src/effects/dokploy/rate-limit.ts';

const rate = { perSecond: 10, burst: 20 };

describe('bucket arithmetic', () => {
  it.each([
    ['full: goes at once', { tokens: 20, at: 0 }, 0, { tokens: 19, at: 0 }, 0],
    ['last token: goes at once', { tokens: 1, at: 0 }, 0, { tokens: 0, at: 0 }, 0],
    ['empty: waits for one', { tokens: 0, at: 0 }, 0, { tokens: -1, at: 0 }, 100],
    ['reserved turns queue up', { tokens: -3, at: 0 }, 0, { tokens: -4, at: 0 }, 400],
    ['half a token: waits half as long', { tokens: 0, at: 0 }, 50, { tokens: -0.5, at: 50 }, 50],
    ['refills with time', { tokens: 0, at: 0 }, 1000, { tokens: 9, at: 1000 }, 0],
    ['never above the burst', { tokens: 20, at: 0 }, 60_000, { tokens: 19, at: 60_000 }, 0],
    ['a clock that jumps back refills nothing', { tokens: 0, at: 1000 }, 500, { tokens: -1, at: 1000 }, 100],
  ])('%s', (_name, bucket, now, after, waitMs) => {
    expect(takeToken(bucket, rate, now)).toEqual({ bucket: after, waitMs });
  });
});

describe('limiter', () => {
  it('lets 20 go at once and then ten a second, in order', async () => {
    const waits: number[] = [];
    const limiter = createLimiter({ now: () => 0, sleep: async (ms) => void waits.push(ms) });
    for (let n = 0; n < 23; n++) await limiter.take();
    expect(waits).toEqual([100, 200, 300]);
  });

  it('stops waiting at the signal and gives the turn back', async () => {
    const control = new AbortController();
    const limiter = createLimiter({ burst: 1, perSecond: 0.001, now: () => 0 });
    await limiter.take();
    const waiting = limiter.take(control.signal);
    control.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    const waits: number[] = [];
    const second = createLimiter({
      burst: 1,
      perSecond: 1,
      now: () => 0,
      sleep: async (ms, signal) => (signal ? Promise.reject(new Error('x')) : void waits.push(ms)),
    });
    await second.take();
    await expect(second.take(new AbortController().signal)).rejects.toThrow('x');
    await second.take();
    expect(waits).toEqual([1000]);
  });

  it('takes nothing when the signal has fired before', async () => {
    const limiter = createLimiter({ burst: 1, perSecond: 1, now: () => 0, sleep: async () => Promise.reject(new Error('had to wait')) });
    await expect(limiter.take(AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
    await limiter.take();
  });

  it('is one and the same for one name', () => {
    const limiterFor = createLimiters();
    expect(limiterFor('a')).toBe(limiterFor('a'));
    expect(limiterFor('a')).not.toBe(limiterFor('b'));
  });
});
