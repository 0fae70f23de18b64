import type { components, paths } from './schema.gen'

/** The schemas of openapi.yaml: S['Topic'], S['GroupLag']. `npm run api` generates them. */
export type S = components['schemas']
export type Path = keyof paths & string
export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

type Op<P extends Path, M extends Method> = Lowercase<M> extends keyof paths[P] ? paths[P][Lowercase<M>] : never
type Json<R> = R extends { content: { 'application/json': infer T } } ? T : undefined

/** What a successful call answers. */
export type Answer<P extends Path, M extends Method = 'GET'> =
  Op<P, M> extends { responses: infer R } ? (R extends { 200: infer A } ? Json<A> : R extends { 201: infer A } ? Json<A> : R extends { 202: infer A } ? Json<A> : undefined) : never
/** What it wants in its body. */
export type Body<P extends Path, M extends Method> =
  Op<P, M> extends { requestBody?: infer B } ? (NonNullable<B> extends { content: { 'application/json': infer T } } ? T : undefined) : undefined
/** Its query parameters. */
export type Query<P extends Path, M extends Method = 'GET'> = Op<P, M> extends { parameters: { query?: infer Q } } ? Partial<NonNullable<Q>> : never

/** The paths that answer a GET with JSON. */
export type GetPath = { [P in Path]: paths[P] extends { get: { responses: { 200: { content: { 'application/json': unknown } } } } } ? P : never }[Path]
/** The paths that answer a GET with a list in pages. */
export type ListPath = { [P in GetPath]: Answer<P> extends { items: unknown[] } ? P : never }[GetPath]
export type Item<P extends ListPath> = Answer<P> extends { items: (infer T)[] } ? T : never
