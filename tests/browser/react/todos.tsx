import type { Store } from 'revkv'
import { useList } from 'revkv/react'

export function Todos({ store }: { store: Store<{ title: string }> }) {
  const todos = useList(store, { prefix: 'todo/' }, { limit: 100 })
  return (
    <ul>
      {todos.toArray().map((todo) => (
        <li key={todo.key}>{todo.value.title}</li>
      ))}
    </ul>
  )
}
