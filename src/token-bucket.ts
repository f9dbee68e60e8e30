export type Bucket = { tokens: number; at: number };
export type Rate = { perSecond: number; burst: number };

/** Takes one token at a time; a negative balance is a reserved turn, and `waitMs` says when it comes. */
export function takeToken(bucket: Bucket, rate: Rate, now: number): { bucket: Bucket; waitMs: number } {
  const elapsedMs = Math.max(0, now - bucket.at);
  const tokens = Math.min(rate.burst, bucket.tokens + (elapsedMs * rate.perSecond) / 1000) - 1;
  const waitMs = tokens >= 0 ? 0 : Math.ceil((-tokens * 1000) / rate.perSecond);
  return { bucket: { tokens, at: Math.max(bucket.at, now) }, waitMs };
}
