import pg from 'pg';

const { INT8, DATE, TIME, TIMETZ, TIMESTAMP, TIMESTAMPTZ, INTERVAL, BYTEA } = pg.types.builtins;
/** 600 and 718 are point and circle. */
const asText = new Set<number>([DATE, TIME, TIMETZ, TIMESTAMP, TIMESTAMPTZ, INTERVAL, BYTEA, 600, 718]);
/** Arrays of the above and of int8: their parser would make Dates and rounded numbers. */
const arraysAsText = new Set<number>([1115, 1182, 1183, 1185, 1187, 1270, 1001, 1017]);

/** Values as JSON: what JavaScript would change (times, long integers, bytes) stays the server's text. */
export const wireTypes: pg.CustomTypesConfig = {
  getTypeParser: (oid, format) => {
    if (oid === INT8) return (text: string) => (Number.isSafeInteger(Number(text)) ? Number(text) : text);
    if (asText.has(oid) || arraysAsText.has(oid)) return (text: string) => text;
    return pg.types.getTypeParser(oid, format);
  },
};
