// A cloud function that is told of refunds, listed in NOTIFY_FUNCTIONS.
import type { SubscriberEvent, SubscriberReply } from './wxrefund'

const taken = new Set<string>() // in a database, where it outlives the function

export async function main(event: SubscriberEvent): Promise<SubscriberReply> {
  if (taken.has(event.id)) return { code: 'SUCCESS' }
  const { out_refund_no, amount } = event.resource
  switch (event.event_type) {
    case 'REFUND.SUCCESS':
      book(out_refund_no, amount.refund, event.resource.success_time ?? event.create_time)
      break
    case 'REFUND.CLOSED':
    case 'REFUND.ABNORMAL': {
      const status: 'CLOSED' | 'ABNORMAL' = event.resource.refund_status
      report(out_refund_no, status, event.resource.user_received_account)
      break
    }
    default: {
      const nothing: never = event // all three are here
      return nothing
    }
  }
  taken.add(event.id)
  return { code: 'SUCCESS', message: '成功' }
}

declare function book(outRefundNo: string, fen: number, at: string): void
declare function report(outRefundNo: string, status: 'CLOSED' | 'ABNORMAL', account?: string): void
