export type Bucket = { tokens: number; at: number };
export type Rate = { perSecond: number; burst: number };

/** Takes up to so many whole tokens, never on credit; with none, `waitMs` says when there will be one. */
export function leaseTokens(bucket: Bucket, rate: Rate, now: number, wanted: number): { bucket: Bucket; granted: number; waitMs: number } {
  const elapsedMs = Math.max(0, now - bucket.at);
  const there = Math.min(rate.burst, bucket.tokens + (elapsedMs * rate.perSecond) / 1000);
  const granted = Math.max(0, Math.min(wanted, Math.floor(there)));
  const waitMs = granted > 0 ? 0 : Math.max(1, Math.ceil(((1 - there) * 1000) / rate.perSecond));
  return { bucket: { tokens: there - granted, at: Math.max(bucket.at, now) }, granted, waitMs };
}

/** Takes one token at a time; a negative balance is a reserved turn, and `waitMs` says when it comes. */
export function takeToken(bucket: Bucket, rate: Rate, now: number): { bucket: Bucket; waitMs: number } {
  const elapsedMs = Math.max(0, now - bucket.at);
  const tokens = Math.min(rate.burst, bucket.tokens + (elapsedMs * rate.perSecond) / 1000) - 1;
  const waitMs = tokens >= 0 ? 0 : Math.ceil((-tokens * 1000) / rate.perSecond);
  return { bucket: { tokens, at: Math.max(bucket.at, now) }, waitMs };
}
