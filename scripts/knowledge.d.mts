export type Said = { code: string; by: string; says: string[]; next: string[] };
export function codesIn(source: string): Said[];
export function explanationsIn(readme: string): Map<string, string>;
export function readArticles(): unknown[];
