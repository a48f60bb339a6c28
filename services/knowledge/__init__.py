"""Knowledge keeps articles and has them found (K1-K7).

Owns articles with every version they had, the search index, reading lists, and the list of missing answers.
Handles `ticket.opened` (suggestions), `ticket.resolved` (drafts), `sla.breached` and `feedback.received` (missing
answers), `course.completed` (materials, reading lists); emits `article.*`, `answer.suggested` and `search.missed`;
answers the gateway's calls, `search` among them.
"""
