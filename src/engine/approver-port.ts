/** What the engine asks of whoever seals approvals and signs standing rules (A2). */

/** A target by name, with what the owner says of it. */
export type KnownTarget = { name: string; tags: readonly string[] };

/** Allows the confirmed events of a workflow on targets that carry all these tags, until it expires; signed by the approver key (A2). */
export type StandingRule = {
  id: string;
  workflow: string;
  /** One event only; null for every confirmed event of the workflow. */
  event: string | null;
  tags: readonly string[];
  expiresAt: number;
  signature: string;
};

/** The approver key after a passphrase has opened it. */
export type Seal = { keyId: string; sign(text: string): string };

/** The owner's side of approvals: whose seal counts, what it allows for good, which tags ask for it (A2). */
export interface Approver {
  readonly sealedTags: readonly string[];
  /** True once there is an approver key. */
  exists(): Promise<boolean>;
  /** True when the present approver key made this signature. */
  verify(text: string, signature: string): Promise<boolean>;
  targets(): Promise<KnownTarget[]>;
  /** Standing rules whose signature was verified. */
  rules(): Promise<StandingRule[]>;
}
