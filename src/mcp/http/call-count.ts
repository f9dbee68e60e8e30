export type CallCount = {
  /** Counts a call of this principal until the answer is called; undefined when he has as many as he may. */
  enter(principal: string): (() => void) | undefined;
  /** Resolves when nothing is counted. */
  idle(): Promise<void>;
};

export function createCallCount(maxPerPrincipal: number): CallCount {
  const counts = new Map<string, number>();
  let waiting: (() => void)[] = [];
  const leave = (principal: string): void => {
    const left = (counts.get(principal) ?? 1) - 1;
    if (left > 0) counts.set(principal, left);
    else counts.delete(principal);
    if (counts.size > 0) return;
    for (const resolve of waiting) resolve();
    waiting = [];
  };
  return {
    enter(principal) {
      const now = counts.get(principal) ?? 0;
      if (now >= maxPerPrincipal) return undefined;
      counts.set(principal, now + 1);
      let open = true;
      return () => {
        if (open) leave(principal);
        open = false;
      };
    },
    idle: () => (counts.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  };
}
