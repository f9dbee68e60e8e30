export function computeGolden(): Promise<unknown>;
export function readGolden(): unknown;
