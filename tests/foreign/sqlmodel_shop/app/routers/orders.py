from fastapi import APIRouter, HTTPException
from sqlmodel import select

from app.database import SessionDep
from app.models import Order, OrderCreate, OrderLine, OrderPublic, Product

router = APIRouter(prefix="/orders", tags=["orders"])


@router.post("", response_model=OrderPublic, status_code=201)
def create_order(data: OrderCreate, session: SessionDep):
    order = Order(email=data.email)
    total = 0
    for item in data.items:
        product = session.exec(
            select(Product).where(Product.sku == item.sku).with_for_update()
        ).first()
        if product is None or product.stock < item.quantity:
            raise HTTPException(409, f"Not enough of {item.sku}")
        product.stock -= item.quantity
        order.lines.append(OrderLine(product_id=product.id, quantity=item.quantity))
        total += product.price_cents * item.quantity
    session.add(order)
    session.commit()
    return OrderPublic(id=order.id, email=order.email, total_cents=total)
